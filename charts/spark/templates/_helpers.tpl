{{/* A text if there are a master and workers, or else nothing. */}}
{{- define "spark.standalone" -}}{{ if eq .Values.mode "standalone" }}true{{ end }}{{- end }}

{{/* The configuration that drivers, executors, the master and the workers read in /etc/spark. */}}
{{- define "spark.confVolume" -}}
- name: spark-conf
  projected:
    sources:
      - configMap:
          name: spark-conf
      - secret:
          name: spark-auth
{{- end }}
{{- define "spark.confMount" -}}
- name: spark-conf
  mountPath: /etc/spark
  readOnly: true
{{- end }}

{{/* The environment of the master and of a worker. Input: the part. */}}
{{- define "spark.daemonEnvironment" -}}
env:
  - name: POD_IP
    valueFrom:
      fieldRef:
        fieldPath: status.podIP
  - name: SPARK_DAEMON_MEMORY
    value: {{ toJson .values.heap }}
  - name: SPARK_DAEMON_JAVA_OPTS
    value: -XX:+UseSerialGC -XX:TieredStopAtLevel=1
  - name: SPARK_CONF_DIR
    value: /etc/spark
  - name: _SPARK_AUTH_SECRET
    valueFrom:
      secretKeyRef:
        name: spark-auth
        key: _SPARK_AUTH_SECRET
{{- end }}

{{/* The ports of drivers and executors. They are fixed, so that NetworkPolicies can name them; each kind has 16. */}}
{{- define "spark.driverPort" -}}7100{{- end }}
{{- define "spark.blockManagerPort" -}}7116{{- end }}
{{- define "spark.lastPort" -}}7131{{- end }}
{{- define "spark.executorPorts" -}}
- port: {{ include "spark.driverPort" . }}
  endPort: {{ include "spark.lastPort" . }}
{{- end }}
