{{/*
The metadata of a pod template. Input besides the part:
  clients    the services that the pod is a client of (see common.clientLabels)
  checksums  the templates whose changes restart the pod, as in (list "configmap.yaml"), but none that generates a
             password, because each rendering generates another one
*/}}
{{- define "common.podMetadata" -}}
{{- $root := .root | default . -}}
labels:
  {{- include "common.selectorLabels" . | nindent 2 }}
  app.kubernetes.io/part-of: martline
  {{- include "common.clientLabels" .clients | indent 2 }}
{{- with .checksums }}
annotations:
  {{- range . }}
  checksum/{{ base . }}: {{ include (print $root.Template.BasePath "/" .) $root | sha256sum }}
  {{- end }}
{{- end }}
{{- end }}

{{/*
The beginning of each pod's spec: its user, its nodes, and how long it may take to stop. Input besides the part:
  token     true for a pod that talks to Kubernetes' API
  account   its ServiceAccount; by default the part's own
  replicas  the number of pods; several are spread over the nodes
From the chart's values: runAsUser. From the part's values: terminationGracePeriodSeconds, nodeSelector,
tolerations, affinity.
*/}}
{{- define "common.podSpec" -}}
{{- $root := .root | default . -}}
{{- $values := .values | default $root.Values -}}
serviceAccountName: {{ .account | default (include "common.name" .) }}
automountServiceAccountToken: {{ .token | default false }}
{{- /* Programs would take variables that Kubernetes sets for Services, such as KAFKA_PORT, for their settings. */}}
enableServiceLinks: false
securityContext:
  {{- include "common.podSecurityContext" $root | nindent 2 }}
terminationGracePeriodSeconds: {{ include "common.scalar" (list "terminationGracePeriodSeconds" ($values.terminationGracePeriodSeconds | default 30)) }}
{{- with ($root.Values.global | default dict).imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ toJson . }}
  {{- end }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.affinity }}
affinity:
  {{- toYaml $values.affinity | nindent 2 }}
{{- else if gt (int (.replicas | default 1)) 1 }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "common.selectorLabels" . | nindent 14 }}
{{- end }}
{{- end }}

{{/*
The pod's security context, as the `restricted` Pod Security Standard requires it. From the chart's values:
runAsUser, the numeric user and group of the image.
*/}}
{{- define "common.podSecurityContext" -}}
{{- $root := .root | default . -}}
runAsNonRoot: true
runAsUser: {{ int $root.Values.runAsUser }}
runAsGroup: {{ int $root.Values.runAsUser }}
fsGroup: {{ int $root.Values.runAsUser }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* The container's security context. No input. */}}
{{- define "common.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/*
The beginning of each container: image, security context, resources. Input besides the part:
  image      {repository, tag, digest, pullPolicy}; by default that of the chart's values
  resources  by default those of the part's values
*/}}
{{- define "common.container" -}}
{{- $root := .root | default . -}}
{{- $values := .values | default $root.Values -}}
image: {{ include "common.image" . | toJson }}
imagePullPolicy: {{ (.image | default $root.Values.image).pullPolicy }}
{{- /* So that `kubectl describe pod` says why a container has ended. */}}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  {{- include "common.containerSecurityContext" . | nindent 2 }}
resources:
  {{- toYaml (.resources | default $values.resources) | nindent 2 }}
{{- end }}

{{/*
The reference of an image, which is `image` of the input, or else of the chart's values. It begins with
global.imageRegistry. An image without a tag, such as the project's own, gets global.imageTag, or else the chart's
appVersion.
*/}}
{{- define "common.image" -}}
{{- $root := .root | default . -}}
{{- $image := .image | default $root.Values.image -}}
{{- $global := $root.Values.global | default dict -}}
{{- with $global.imageRegistry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $global.imageTag | default $root.Chart.AppVersion }}{{ end -}}
{{- end }}

{{/*
The startup, readiness and liveness probes of a container. Input besides the part:
  handler    the action of the probes, as in (dict "exec" (dict "command" (list "pg_isready")))
  readiness  the action of the readiness probe, if it differs
From the part's values: probes.{startup,readiness,liveness}.{periodSeconds,timeoutSeconds,failureThreshold}
*/}}
{{- define "common.probes" -}}
{{- $root := .root | default . -}}
{{- $values := .values | default $root.Values -}}
startupProbe:
  {{- merge (dict) .handler $values.probes.startup | toYaml | nindent 2 }}
readinessProbe:
  {{- merge (dict) (.readiness | default .handler) $values.probes.readiness | toYaml | nindent 2 }}
livenessProbe:
  {{- merge (dict) .handler $values.probes.liveness | toYaml | nindent 2 }}
{{- end }}

{{/* The ports of a container. Input: a dict of names and numbers, as in (dict "client" 2181). */}}
{{- define "common.containerPorts" -}}
{{- range $name, $port := . }}
- name: {{ $name }}
  containerPort: {{ int $port }}
{{- end }}
{{- end }}

{{/* The folders that a container may write to besides its data: mounts of one emptyDir. Input: a list of paths. */}}
{{- define "common.scratchMounts" -}}
{{- range . }}
- name: scratch
  mountPath: {{ . }}
  subPath: {{ . | trimAll "/" | replace "/" "-" }}
{{- end }}
{{- end }}

{{/* The volume of common.scratchMounts. Input: its maximum size, as in "1Gi". */}}
{{- define "common.scratchVolume" -}}
- name: scratch
  emptyDir:
    sizeLimit: {{ toJson . }}
{{- end }}
