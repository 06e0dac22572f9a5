{{/*
A component's part: its own values, and those of `components` where it has none. A dict is text to Helm, so
`include "airflow.values" (list . "scheduler") | fromYaml` gives the values back.
*/}}
{{- define "airflow.values" -}}
{{- $root := index . 0 -}}
{{- merge (dict) (get $root.Values (index . 1)) $root.Values.components | toYaml -}}
{{- end }}

{{/* What every component is configured by; PG… says where Airflow's own database is. */}}
{{- define "airflow.environment" -}}
envFrom:
  - configMapRef:
      name: airflow-settings
  - secretRef:
      name: airflow-keys
  - secretRef:
      name: airflow-metadata
{{- end }}

{{/* A pod that waits until the migration job has brought the database to this Airflow's schema. */}}
{{- define "airflow.waitForMigration" -}}
- name: wait-for-migration
  {{- include "common.container" . | nindent 2 }}
  command: [sh, -ec]
  args:
    - |
      until python -c "import psycopg; psycopg.connect(connect_timeout=5).execute('SELECT FROM alembic_version')" 2> /dev/null; do
        sleep 2
      done
      exec airflow db check-migrations --migration-wait-timeout 600
  {{- include "airflow.environment" . | nindent 2 }}
  volumeMounts:
    {{- include "common.scratchMounts" (list "/tmp" "/logs") | indent 4 }}
{{- end }}

{{/*
Whether a component lives: whether it has written its heartbeat to Airflow's database. This is what
`airflow jobs check` asks too, which takes three seconds of a core to start.
*/}}
{{- define "airflow.heartbeat" -}}
exec:
  command:
    - python
    - -c
    - |
      import psycopg, socket, sys
      query = "SELECT FROM job WHERE job_type = %s AND hostname = %s AND state = 'running' AND latest_heartbeat > now() - interval '2 minutes'"
      sys.exit(psycopg.connect(connect_timeout=10).execute(query, ["{{ . }}", socket.getfqdn()]).rowcount == 0)
{{- end }}

{{/* What a component needs that reads the DAGs: those of values and charts, the workloads' images and pods. */}}
{{- define "airflow.dagMounts" -}}
- name: workloads
  mountPath: /etc/martline
  readOnly: true
{{- range $file, $_ := include "airflow.dags" . | fromYaml }}
- name: dags
  mountPath: /opt/martline/dags/{{ $file }}
  subPath: {{ $file }}
  readOnly: true
{{- end }}
{{- end }}
{{- define "airflow.dagVolumes" -}}
- name: workloads
  configMap:
    name: airflow-workloads
- name: dags
  configMap:
    name: airflow-dags
{{- end }}
{{- define "airflow.dags" -}}
{{- if hasKey .Values.extraDags "helm_test.py" }}
{{- fail "extraDags has helm_test.py, which is the DAG that `helm test` runs: choose another name" }}
{{- end }}
{{- merge (dict "helm_test.py" (.Files.Get "files/helm_test.py")) .Values.extraDags | toYaml -}}
{{- end }}
