{{/* The services that the dashboard reads, and the sources of its connection settings. */}}
{{- define "dashboard.clients" -}}
[mysql, postgres, kafka, airflow]
{{- end }}
{{- define "dashboard.connections" -}}
envFrom:
  - secretRef:
      name: mysql-dashboard
  - secretRef:
      name: postgres-dashboard
  - configMapRef:
      name: kafka-client
  - secretRef:
      name: airflow-dashboard
{{- end }}

{{/* The password that opens the pages, as a file. */}}
{{- define "dashboard.loginVolumes" -}}
- name: login
  secret:
    secretName: dashboard-login
{{- end }}
{{- define "dashboard.loginMounts" -}}
- name: login
  mountPath: /run/secrets/login
  readOnly: true
{{- end }}
