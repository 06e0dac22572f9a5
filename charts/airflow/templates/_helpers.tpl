{{/*
The values of a component, with those of `components` as defaults. A helper returns text, so
`include "airflow.values" (list . "scheduler") | fromYaml` gives the values.
*/}}
{{- define "airflow.values" -}}
{{- $root := index . 0 -}}
{{- merge (dict) (get $root.Values (index . 1)) $root.Values.components | toYaml -}}
{{- end }}

{{/* The configuration of every component. The variables PG… are those of Airflow's own database. */}}
{{- define "airflow.environment" -}}
envFrom:
  - configMapRef:
      name: airflow-settings
  - secretRef:
      name: airflow-keys
  - secretRef:
      name: airflow-metadata
{{- end }}

{{/* A container that waits until the migration job has brought the database to this Airflow's schema. */}}
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
A probe that checks whether a component has recently written its heartbeat to Airflow's database. `airflow jobs check`
does the same, but takes three seconds of a core to start.
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

{{/* Mounts for a component that reads the DAGs: the DAGs of the chart and its values, the workloads' images and pods. */}}
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
