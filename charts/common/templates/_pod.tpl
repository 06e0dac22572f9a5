{{/*
The metadata of a pod template. Beside the part:
  clients    the services that the pod is a client of (see common.clientLabels)
  checksums  the templates whose change restarts the pod, as in (list "configmap.yaml"); none that makes a
             password, as each rendering makes another
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
What the spec of each pod begins with: who it runs as, where, and how long it may take to stop. Beside the part:
  token     true for a pod that talks to Kubernetes' API
  account   its ServiceAccount, if it is not the part's own
  replicas  more than 1 spreads the pods over the nodes
From the chart's values: runAsUser. From the part's values: terminationGracePeriodSeconds, nodeSelector,
tolerations, affinity.
*/}}
{{- define "common.podSpec" -}}
{{- $root := .root | default . -}}
{{- $values := .values | default $root.Values -}}
serviceAccountName: {{ .account | default (include "common.name" .) }}
automountServiceAccountToken: {{ .token | default false }}
{{- /* Kubernetes' KAFKA_PORT and the like would be taken for settings. */}}
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
The pod's security context, which the `restricted` Pod Security Standard asks for. From the chart's values:
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
What each container begins with: image, security context, resources. Beside the part:
  image      {repository, tag, digest, pullPolicy} if it is not that of the chart's values
  resources  if they are not those of the part's values
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
The image's reference, from `image` of the input or of the chart's values; global.imageRegistry goes in front.
An image without a tag, as the project's own are, takes global.imageTag, or else the chart's appVersion.
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
The startup, readiness and liveness probes of a container. Beside the part:
  handler    what is asked, as in (dict "exec" (dict "command" (list "pg_isready")))
  readiness  what is asked for readiness, if something else
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

{{/* The ports of a container or of a Service, from a dict of names and numbers: (dict "client" 2181). */}}
{{- define "common.containerPorts" -}}
{{- range $name, $port := . }}
- name: {{ $name }}
  containerPort: {{ int $port }}
{{- end }}
{{- end }}

{{/* The places that a container may write to beside its data: mounts of one emptyDir, from a list of paths. */}}
{{- define "common.scratchMounts" -}}
{{- range . }}
- name: scratch
  mountPath: {{ . }}
  subPath: {{ . | trimAll "/" | replace "/" "-" }}
{{- end }}
{{- end }}

{{/* The volume of common.scratchMounts. Input: how big it may grow, as in "1Gi". */}}
{{- define "common.scratchVolume" -}}
- name: scratch
  emptyDir:
    sizeLimit: {{ toJson . }}
{{- end }}
