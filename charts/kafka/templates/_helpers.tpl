{{/* The replication factor of topics. */}}
{{- define "kafka.copies" -}}
{{- min 3 .Values.replicas -}}
{{- end }}

{{/* The name of a broker's pod in the headless service. Input: dict "root" and "index". */}}
{{- define "kafka.host" -}}
kafka-{{ .index }}.kafka-headless.{{ .root.Release.Namespace }}.svc
{{- end }}

{{/* The id of KRaft's cluster: 16 bytes in base64, the same for all brokers and in each rendering. */}}
{{- define "kafka.clusterId" -}}
{{- printf "%s/%s" .Release.Namespace .Release.Name | sha256sum | trunc 21 -}}A
{{- end }}

{{/* Settings that the start script would override, or that would put the data outside its volume; and the reasons. */}}
{{- define "kafka.refused" -}}
broker.id: it follows from the number of the pod
node.id: it follows from the number of the pod
advertised.listeners: the start script makes it from the pod's name and forwardedPort
log.dir: the data is on the pod's volume
log.dirs: the data is on the pod's volume
metadata.log.dir: the data is on the pod's volume
{{- end }}
