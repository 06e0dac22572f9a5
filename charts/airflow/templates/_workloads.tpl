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

{{/* The pod that every task's pod begins as. */}}
{{- define "airflow.workloadPod" -}}
apiVersion: v1
kind: Pod
metadata:
  labels:
    {{- include "common.selectorLabels" (dict "root" . "component" "workload") | nindent 4 }}
    app.kubernetes.io/part-of: martline
spec:
  {{- $spec := include "common.podSpec" (dict "root" . "component" "workload" "values" .Values.workloadPods) | fromYaml }}
  {{- /* The account says whether there is a token: that of a Spark driver may have one. */}}
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
How the operator reaches Kubernetes, and the container beside a task's own that hands over its result. That is of
Airflow's image, as the settings that name it restart Airflow when they change.
*/}}
{{- define "airflow.connection" -}}
conn_type: kubernetes
extra:
  in_cluster: true
  namespace: {{ .Release.Namespace }}
  xcom_sidecar_container_image: {{ include "common.image" . | toJson }}
  # Airflow reads these two as text.
  xcom_sidecar_container_resources: {{ dict "requests" (dict "cpu" "10m" "memory" "16Mi") "limits" (dict "cpu" "100m" "memory" "64Mi") | toJson | toJson }}
  xcom_sidecar_container_security_context: {{ include "common.containerSecurityContext" . | fromYaml | toJson | toJson }}
{{- end }}
