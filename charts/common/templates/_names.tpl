{{/*
The input of every helper, called "the part" below, is a chart's root context or, in a chart with several parts,
a dict that is made once at the top of a template:

    {{- $part := dict "root" . "component" "master" "values" .Values.master }}

  root       the chart's root context
  component  the part's name; omitted in a chart with one part
  values     the values of the part (resources, probes, persistence, ...); by default those of the chart

If a helper needs more input, its comment says so. Add it with `merge (dict "more" 1) $part`.

Names are fixed, because programs look for `postgres-client` and `kafka:9092`. So a namespace can hold only one
platform.
*/}}

{{/* The name of the part's objects: the chart's name (`kafka`), and the component if there is one (`spark-master`). */}}
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
The labels with which the NetworkPolicies of services let a pod in. Input: a list of the services' names, as in
(list "postgres" "kafka"). A program that starts pods itself, such as Airflow, sets the same labels.
*/}}
{{- define "common.clientLabels" -}}
{{- range . }}
martline.io/client-{{ . }}: "true"
{{- end }}
{{- end }}
