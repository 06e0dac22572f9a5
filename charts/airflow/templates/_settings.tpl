{{/* The settings that the chart itself makes. */}}
{{- define "airflow.chartSettings" -}}
AIRFLOW_HOME: /tmp/airflow
AIRFLOW__API__BASE_URL: {{ include "common.text" (list "baseUrl" .Values.baseUrl) }}
AIRFLOW__API__WORKERS: "1"
AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION: "False"
AIRFLOW__CORE__EXECUTION_API_SERVER_URL: http://airflow-api-server:8080/execution/
AIRFLOW__CORE__LOAD_EXAMPLES: "False"
AIRFLOW__CORE__PARALLELISM: {{ include "common.text" (list "parallelism" .Values.parallelism) }}
AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE: /tmp/passwords.json
AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS: {{ printf "%s:admin,%s:viewer" .Values.login.user .Values.login.dashboard.user | quote }}
AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL: "600"
AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL: "60"
# libpq reads user, password, address and database from the variables PG…, so this URL contains no password.
AIRFLOW__DATABASE__SQL_ALCHEMY_CONN: postgresql+psycopg://
AIRFLOW__LOGGING__BASE_LOG_FOLDER: /logs
# So that a restarted scheduler soon adopts the tasks that the last one left.
AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL: "30"
AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT: "90"
AIRFLOW__USAGE_DATA_COLLECTION__ENABLED: "False"
AIRFLOW_CONN_KUBERNETES_DEFAULT: {{ include "airflow.connection" . | fromYaml | toJson | toJson }}
MARTLINE_PROFILE: cluster
MARTLINE_WORKLOADS: /etc/martline
{{- end }}

{{/* The chart's settings, overridden by those of the values. Settings that a Secret would override are refused. */}}
{{- define "airflow.settings" -}}
{{- $secret := "the Secret airflow-keys sets it" -}}
{{- $database := "the Secret airflow-metadata sets it" -}}
{{- $refused := dict "AIRFLOW__CORE__FERNET_KEY" $secret "AIRFLOW__API__SECRET_KEY" $secret "AIRFLOW__API_AUTH__JWT_SECRET" $secret -}}
{{- range list "PGHOST" "PGPORT" "PGUSER" "PGPASSWORD" "PGDATABASE" -}}
{{- $_ := set $refused . $database -}}
{{- end -}}
{{- include "common.requireSettings" (dict "name" "settings" "values" .Values.settings "refused" $refused) -}}
{{- $settings := include "airflow.chartSettings" . | fromYaml -}}
{{- range $name, $value := .Values.settings -}}
{{- if not (regexMatch "^[A-Za-z_][A-Za-z0-9_]*$" $name) -}}
{{- fail (printf "settings.%s is not a valid name of an environment variable: use letters, digits and underscores" $name) -}}
{{- end -}}
{{- $_ := set $settings $name (include "common.scalar" (list (print "settings." $name) $value)) -}}
{{- end -}}
{{- range $name, $text := $settings }}
{{ $name }}: {{ toJson $text }}
{{- end }}
{{- end }}
