{{/* The sources of a notebook's connections and of Spark's configuration; see the charts of those services. */}}
{{- define "jupyter.connections" -}}
env:
  - name: SPARK_LOCAL_HOSTNAME
    valueFrom:
      fieldRef:
        fieldPath: status.podIP
envFrom:
  - secretRef:
      name: postgres-client
  - secretRef:
      name: mysql-client
  - configMapRef:
      name: kafka-client
  - configMapRef:
      name: spark-client
  - secretRef:
      name: spark-auth
{{- end }}
{{- define "jupyter.clients" -}}
[postgres, mysql, kafka, spark]
{{- end }}
{{- define "jupyter.sparkVolumes" -}}
- name: spark-conf
  projected:
    sources:
      - configMap:
          name: spark-conf
      - secret:
          name: spark-auth
{{- end }}
{{- define "jupyter.sparkMounts" -}}
- name: spark-conf
  mountPath: /etc/spark
  readOnly: true
{{- end }}
