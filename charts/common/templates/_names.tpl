{{/*
The input of every helper, called "the part" below, is either a chart's root context or, for a chart of
several parts, a dict that is made once at the top of a template:

    {{- $part := dict "root" . "component" "master" "values" .Values.master }}

  root       the chart's root context
  component  the part's name; left out in a chart of one part
  values     the values of that part (resources, probes, persistence, ...); those of the chart if left out

A helper that wants more says so; add it with `merge (dict "more" 1) $part`.

Names are fixed, as programs look for `postgres-client` and `kafka:9092`: one platform to a namespace.
*/}}

{{/* The name of the part's objects: the chart's, as in `kafka`, or with the component, as in `spark-master`. */}}
{{- define "common.name" -}}
{{- $root := .root | default . -}}
{{- if .component }}{{ $root.Chart.Name }}-{{ .component }}{{ else }}{{ $root.Chart.Name }}{{ end -}}
{{- end }}

{{/* The labels by which Services and workloads find the part's pods; they never change. */}}
{{- define "common.selectorLabels" -}}
{{- $root := .root | default . -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ .component | default "server" }}
{{- end }}

{{/* The labels of the part's objects. */}}
{{- define "common.labels" -}}
{{- $root := .root | default . -}}
{{ include "common.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: martline
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end }}

{{/*
The labels that let a pod in through services' NetworkPolicies, from a list of services' names:
(list "postgres" "kafka"). Whoever starts pods of its own, as Airflow does, sets the same labels.
*/}}
{{- define "common.clientLabels" -}}
{{- range . }}
martline.io/client-{{ . }}: "true"
{{- end }}
{{- end }}
