{{/* The part's ServiceAccount. It mounts no token; a pod that needs one sets `token` in common.podSpec. */}}
{{- define "common.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "common.name" . }}
  labels:
    {{- include "common.labels" . | nindent 4 }}
automountServiceAccountToken: false
{{- end }}

{{/*
A Service for the part's pods. Input besides the part:
  ports     a dict of names and numbers; the container's ports have the same names
  headless  true for a Service that gives each pod an address, even before it is ready; its name ends in -headless
*/}}
{{- define "common.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "common.name" . }}{{ if .headless }}-headless{{ end }}
  labels:
    {{- include "common.labels" . | nindent 4 }}
spec:
  {{- if .headless }}
  clusterIP: None
  publishNotReadyAddresses: true
  {{- end }}
  selector:
    {{- include "common.selectorLabels" . | nindent 4 }}
  ports:
    {{- range $name, $port := .ports }}
    - name: {{ $name }}
      port: {{ int $port }}
      targetPort: {{ $name }}
    {{- end }}
{{- end }}

{{/*
A NetworkPolicy that lets in only the pods labelled `martline.io/client-NAME: "true"`. Input besides the part:
  client     NAME; by default the chart's name
  ports      the ports that clients may reach, by name or number, as in (list "client")
  peerPorts  the ports on which the part's own pods may reach each other
From the part's values: networkPolicy.enabled, networkPolicy.extraFrom (more peers that may reach `ports`)
*/}}
{{- define "common.networkPolicy" -}}
{{- $root := .root | default . -}}
{{- $values := .values | default $root.Values -}}
{{- $policy := $values.networkPolicy | default $root.Values.networkPolicy -}}
{{- if $policy.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "common.name" . }}
  labels:
    {{- include "common.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "common.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    - from:
        - podSelector:
            matchLabels:
              {{- include "common.clientLabels" (list (.client | default $root.Chart.Name)) | indent 14 }}
        {{- with $policy.extraFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        {{- range .ports }}
        - port: {{ . }}
        {{- end }}
    {{- with .peerPorts }}
    - from:
        - podSelector:
            matchLabels:
              {{- include "common.selectorLabels" $ | nindent 14 }}
      ports:
        {{- range . }}
        - port: {{ . }}
        {{- end }}
    {{- end }}
{{- end }}
{{- end }}

{{/* A PodDisruptionBudget that lets one of several pods be evicted at a time. Input besides the part: replicas. */}}
{{- define "common.podDisruptionBudget" -}}
{{- if gt (int .replicas) 1 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "common.name" . }}
  labels:
    {{- include "common.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  # A pod that is not ready anyway does not prevent a node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "common.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end }}

{{/*
A `helm test` pod. Input besides the part:
  test     what it tests; its name ends with this
  script   the script that its shell runs (`sh -euc`); the test fails if the exit code is not 0
  clients  the services that it is a client of
  token    true if it talks to Kubernetes' API
  env, envFrom, image, shell, resources, volumes, volumeMounts    if it needs them; `shell` is sh by default
*/}}
{{- define "common.testPod" -}}
{{- $root := .root | default . -}}
{{- $labels := dict "root" $root "component" "test" -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ $root.Chart.Name }}-test-{{ .test }}
  labels:
    {{- include "common.labels" $labels | nindent 4 }}
    {{- include "common.clientLabels" .clients | indent 4 }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  restartPolicy: Never
  {{- /* A test without a token uses the account `default`, so that it can be validated before anything is installed. */}}
  {{- $account := .token | default false | ternary (include "common.name" .) "default" }}
  {{- include "common.podSpec" (merge (dict "account" $account) .) | nindent 2 }}
  containers:
    - name: test
      {{- $resources := dict "requests" (dict "cpu" "50m" "memory" "64Mi") "limits" (dict "cpu" "1" "memory" "512Mi") }}
      {{- include "common.container" (dict "root" $root "image" .image "resources" (.resources | default $resources)) | nindent 6 }}
      command: [{{ .shell | default "sh" }}, -euc]
      args:
        - |
          {{- /* Kubernetes reads `$$` as `$`. */}}
          {{- .script | trim | replace "$$" "$$$$" | nindent 10 }}
      {{- with .env }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        {{- include "common.scratchMounts" (list "/tmp") | indent 8 }}
        {{- with .volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "common.scratchVolume" "256Mi" | nindent 4 }}
    {{- with .volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
