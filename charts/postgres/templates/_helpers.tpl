{{/*
The server's settings are outside the volume, so that the chart's settings also apply to data of an earlier version,
whose own pg_hba.conf lets in everyone without a password.
*/}}
{{- define "postgres.options" -}}
-c config_file=/etc/postgresql/postgresql.conf -c hba_file=/etc/postgresql/pg_hba.conf
{{- end }}

{{/* The commands of common.databaseStart that create an empty database, the roles and their databases. */}}
{{- define "postgres.initialize" -}}
initdb --pgdata="$unfinished" --username=postgres --pwfile=/run/secrets/admin/PGPASSWORD --auth=scram-sha-256 \
  --encoding=UTF8 --data-checksums
pg_ctl --pgdata="$unfinished" --wait --options="{{ include "postgres.options" . }} -c listen_addresses= -c unix_socket_directories=/tmp" start
PGPASSWORD=$(cat /run/secrets/admin/PGPASSWORD) psql --no-psqlrc --host=/tmp --username=postgres --dbname=postgres \
  --set=ON_ERROR_STOP=1 --file=/etc/postgresql/roles.sql
pg_ctl --pgdata="$unfinished" --wait --mode=fast stop
{{- end }}

{{/*
The commands of common.databaseStart that create or correct the dashboard's role at each start, before the server
listens, so that a volume of an earlier version gets it too. The statements are those of
apps/dashboard/src/martline/dashboard/tables.py; tests/charts/test_database_start.py compares the two. The server's
single-user mode reads one statement per line, and needs no password of the superuser. Data that is being restored or
that follows another server is not changed. The shop does not need the role: if it can't be created, the log says so,
and the server starts.
*/}}
{{- define "postgres.prepareDashboard" -}}
text() { value=$(cat "/run/secrets/$1"); value=${value//\\/\\\\}; value=${value//$'\n'/\\n}; echo "E'${value//\'/\'\'}'"; }
name() { value=$(cat "/run/secrets/$1"); echo "\"${value//\"/\"\"}\""; }
role=$(name dashboard/PGUSER)
for other in "$(name shop/PGUSER)" "$(name airflow/PGUSER)" '"postgres"'; do
  [ "$role" != "$other" ] || refuse "the Secret postgres-dashboard names the role ${role//\"/}, which another account" \
    "uses, but the dashboard's role may only read: name another role there."
done
dashboard_role() {
  there="SELECT FROM pg_roles WHERE rolname = $(text dashboard/PGUSER)"
  echo "DO \$body\$ BEGIN IF NOT EXISTS ($there) THEN CREATE ROLE $role; END IF; END \$body\$"
  echo "ALTER ROLE $role LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
  echo "ALTER ROLE $role PASSWORD $(text dashboard/PGPASSWORD)"
  echo "CREATE SCHEMA IF NOT EXISTS shop AUTHORIZATION pg_database_owner"
  echo "GRANT USAGE ON SCHEMA shop TO $role"
}
(umask 077; dashboard_role > /tmp/dashboard.sql)
if [ -e "$data/recovery.signal" ] || [ -e "$data/standby.signal" ]; then
  say "The dashboard's role is left as it is: $data is being restored, or follows another server."
elif ! postgres --single {{ include "postgres.options" . }} -c exit_on_error=on -c log_statement=none \
  -c log_min_duration_statement=-1 -c log_min_error_statement=panic \
  -- "$(cat /run/secrets/shop/PGDATABASE)" < /tmp/dashboard.sql > /dev/null; then
  say "The dashboard's role could not be created or corrected, for the reason above. The dashboard will say that PostgreSQL refuses it."
fi
rm /tmp/dashboard.sql
{{- end }}

{{/* The lines of postgresql.conf from the values. */}}
{{- define "postgres.settings" -}}
{{- $start := "the chart's start script sets it" -}}
{{- $refused := dict "config_file" $start "data_directory" $start "hba_file" $start "include" $start "include_dir" $start "include_if_exists" $start -}}
{{- $settings := dict "name" "config" "values" .Values.config "refused" $refused -}}
{{- include "common.requireSettings" $settings -}}
{{- include "common.requireDistinct" $settings -}}
{{- range $name, $value := .Values.config }}
{{ $name }} = '{{ include "common.scalar" (list (print "config." $name) $value) | include "postgres.escaped" }}'
{{- end }}
{{- end }}

{{/* A text, escaped for a quoted value in postgresql.conf. */}}
{{- define "postgres.escaped" -}}
{{- . | replace "\\" "\\\\" | replace "'" "''" | replace "\n" "\\n" | replace "\r" "\\r" -}}
{{- end }}

{{/* Refuse names that the first start could not give to the roles and databases that it creates. */}}
{{- define "postgres.requireNames" -}}
{{- range $account := list "shop" "airflow" "dashboard" -}}
{{- range $kind, $name := get $.Values.auth $account -}}
{{- $place := printf "auth.%s.%s" $account $kind -}}
{{- $taken := eq $kind "user" | ternary (list "postgres" "public" "none") (list "postgres" "template0" "template1") -}}
{{- if or (has $name $taken) (and (eq $kind "user") (hasPrefix "pg_" $name)) -}}
{{- fail (printf "%s is %s, a name that PostgreSQL reserves: choose another name" $place $name) -}}
{{- end -}}
{{- if or (gt (len $name) 63) (regexMatch "[\\x00-\\x1f\\x7f]" $name) -}}
{{- fail (printf "%s is not a valid name in PostgreSQL: use at most 63 bytes, and no control characters" $place) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $kind := list "user" "database" -}}
{{- if eq (get $.Values.auth.shop $kind) (get $.Values.auth.airflow $kind) -}}
{{- fail (printf "auth.shop.%s and auth.airflow.%s are the same, but the first start creates both: choose two names" $kind $kind) -}}
{{- end -}}
{{- end -}}
{{- if has .Values.auth.dashboard.user (list .Values.auth.shop.user .Values.auth.airflow.user) -}}
{{- fail "auth.dashboard.user is also the name of another account, but the dashboard's role may only read: choose another name" -}}
{{- end -}}
{{- end }}
