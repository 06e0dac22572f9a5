{{/*
Where the server's settings are: beside the volume, so that those of the chart also count for data of an earlier
version, whose own pg_hba.conf lets in everyone without a password.
*/}}
{{- define "postgres.options" -}}
-c config_file=/etc/postgresql/postgresql.conf -c hba_file=/etc/postgresql/pg_hba.conf
{{- end }}

{{/* The commands of common.databaseStart that make an empty database, its roles and theirs. */}}
{{- define "postgres.initialize" -}}
initdb --pgdata="$unfinished" --username=postgres --pwfile=/run/secrets/admin/PGPASSWORD --auth=scram-sha-256 \
  --encoding=UTF8 --data-checksums
pg_ctl --pgdata="$unfinished" --wait --options="{{ include "postgres.options" . }} -c listen_addresses= -c unix_socket_directories=/tmp" start
PGPASSWORD=$(cat /run/secrets/admin/PGPASSWORD) psql --no-psqlrc --host=/tmp --username=postgres --dbname=postgres \
  --set=ON_ERROR_STOP=1 --file=/etc/postgresql/roles.sql
pg_ctl --pgdata="$unfinished" --wait --mode=fast stop
{{- end }}

{{/* The lines of postgresql.conf that the values ask for. */}}
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

{{/* A text as it stands between quotes in postgresql.conf. */}}
{{- define "postgres.escaped" -}}
{{- . | replace "\\" "\\\\" | replace "'" "''" | replace "\n" "\\n" | replace "\r" "\\r" -}}
{{- end }}

{{/* Refuse names that the first start could not give to the roles and databases that it makes. */}}
{{- define "postgres.requireNames" -}}
{{- range $account := list "shop" "airflow" -}}
{{- range $kind := list "user" "database" -}}
{{- $name := get (get $.Values.auth $account) $kind -}}
{{- $place := printf "auth.%s.%s" $account $kind -}}
{{- $taken := eq $kind "user" | ternary (list "postgres" "public" "none") (list "postgres" "template0" "template1") -}}
{{- if or (has $name $taken) (and (eq $kind "user") (hasPrefix "pg_" $name)) -}}
{{- fail (printf "%s is %s, a name that PostgreSQL reserves: choose another name" $place $name) -}}
{{- end -}}
{{- if or (gt (len $name) 63) (regexMatch "[\\x00-\\x1f\\x7f]" $name) -}}
{{- fail (printf "%s is no valid name in PostgreSQL: use at most 63 bytes, and no control characters" $place) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $kind := list "user" "database" -}}
{{- if eq (get $.Values.auth.shop $kind) (get $.Values.auth.airflow $kind) -}}
{{- fail (printf "auth.shop.%s and auth.airflow.%s are the same, but the first start creates both: choose two names" $kind $kind) -}}
{{- end -}}
{{- end -}}
{{- end }}
