{{/* The image and resources of each kind of workload. */}}
{{- define "airflow.workloads" -}}
{{- range $name, $workload := .Values.workloads }}
{{ $name }}:
  image: {{ include "common.image" (dict "root" $ "image" $workload.image) | toJson }}
  pull_policy: {{ $workload.image.pullPolicy }}
  resources:
    {{- toYaml $workload.resources | nindent 4 }}
{{- end }}
{{- end }}

{{/* The template of every task's pod. */}}
{{- define "airflow.workloadPod" -}}
apiVersion: v1
kind: Pod
metadata:
  labels:
    {{- include "common.selectorLabels" (dict "root" . "component" "workload") | nindent 4 }}
    app.kubernetes.io/part-of: martline
spec:
  {{- $spec := include "common.podSpec" (dict "root" . "component" "workload" "values" .Values.workloadPods) | fromYaml }}
  {{- /* The account decides whether there is a token: that of a Spark driver may have one. */}}
  {{- omit $spec "automountServiceAccountToken" | toYaml | nindent 2 }}
  restartPolicy: Never
  containers:
    - name: base
      env:
        - name: REPLICATION_JOURNAL_MIB
          value: {{ .Values.workloadPods.replicationJournalMiB | int64 | quote }}
      securityContext:
        {{- include "common.containerSecurityContext" . | nindent 8 }}
      volumeMounts:
        {{- include "common.scratchMounts" (list "/tmp") | indent 8 }}
  volumes:
    {{- include "common.scratchVolume" .Values.workloadPods.scratch | nindent 4 }}
{{- end }}

{{/*
The connection by which the operator reaches Kubernetes, and the sidecar that hands over a task's result. The sidecar
uses Airflow's image, because a change of this setting restarts Airflow.
*/}}
{{- define "airflow.connection" -}}
conn_type: kubernetes
extra:
  in_cluster: true
  namespace: {{ .Release.Namespace }}
  xcom_sidecar_container_image: {{ include "common.image" . | toJson }}
  # Airflow expects JSON in a text for these two.
  xcom_sidecar_container_resources: {{ dict "requests" (dict "cpu" "10m" "memory" "16Mi") "limits" (dict "cpu" "100m" "memory" "64Mi") | toJson | toJson }}
  xcom_sidecar_container_security_context: {{ include "common.containerSecurityContext" . | fromYaml | toJson | toJson }}
{{- end }}
