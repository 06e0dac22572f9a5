{{/*
The commands of common.databaseStart that create an empty database, the shop's user and its database. The client reads
the statements from its standard input, so that no command line contains a password. Root needs a password even at the
socket. The commands use mysql.quoting.
*/}}
{{- define "mysql.initialize" -}}
mysqld --datadir="$unfinished" --initialize-insecure
socket=/tmp/first-start.sock
mysqld --datadir="$unfinished" --skip-networking --socket="$socket" --pid-file=/tmp/first-start.pid &
server=$!
client="--no-defaults --user=root --socket=$socket"
until mysqladmin $client --silent ping 2>/dev/null; do
  kill -0 "$server"
  sleep 0.2
done
if [ -d /usr/share/zoneinfo ]; then
  mysql_tzinfo_to_sql /usr/share/zoneinfo 2>/dev/null | mysql $client mysql
fi
mysql $client <<< "
CREATE DATABASE $(name shop/MYSQL_DATABASE);
CREATE USER $(text shop/MYSQL_USER)@'%' IDENTIFIED BY $(text shop/MYSQL_PWD);
GRANT ALL ON $(name shop/MYSQL_DATABASE | sed 's/[_%]/\\&/g').* TO $(text shop/MYSQL_USER)@'%';
ALTER USER root@localhost IDENTIFIED BY $(text admin/MYSQL_PWD);
SHUTDOWN;
"
wait "$server"
{{- end }}

{{/* Bash functions that print the content of a file on one line: as a text in quotes, and as a name in backticks. */}}
{{- define "mysql.quoting" -}}
text() { value=$(cat "/run/secrets/$1"); value=${value//\\/\\\\}; value=${value//$'\n'/\\n}; echo "'${value//\'/\'\'}'"; }
name() { value=$(cat "/run/secrets/$1"); echo "\`${value//\`/\`\`}\`"; }
{{- end }}

{{/*
The tables that the dashboard may read, as in apps/dashboard/src/martline/dashboard/tables.py;
tests/charts/test_database_start.py compares the two.
*/}}
{{- define "mysql.dashboardTables" -}}
mart_average_check mart_cohort_retention mart_customer_rfm mart_product_rating mart_sales_daily mart_versions mart_lineage mart_runs mart_checks _replication _replication_tables
{{- end }}
{{- define "mysql.dashboardPersonalTables" -}}
mart_user_activity
{{- end }}

{{/*
The commands of common.databaseStart that write mysqld's init-file, which has one statement per line. At each start,
before the server listens, its statements create or correct the dashboard's role, so that a volume of an earlier version
gets it too. MySQL grants rights on a missing table only together with CREATE, which is revoked again. The commands use
mysql.quoting.
*/}}
{{- define "mysql.prepareDashboard" -}}
[ "$(text dashboard/MYSQL_USER)" != "$(text shop/MYSQL_USER)" ] || refuse "the Secrets mysql-dashboard and mysql-client" \
  "name the same user, but the dashboard's user may only read: name another one in mysql-dashboard."
grant() {
  table=$(name shop/MYSQL_DATABASE).$2
  echo "GRANT $1, CREATE ON $table TO $role;"
  echo "REVOKE CREATE ON $table FROM $role;"
}
dashboard_role() {
  role="$(text dashboard/MYSQL_USER)@'%'"
  echo "CREATE USER IF NOT EXISTS $role ACCOUNT LOCK;"
  echo "REVOKE ALL, GRANT OPTION FROM $role;"
  for table in {{ include "mysql.dashboardTables" . }}; do grant SELECT "$table"; done
  for table in {{ include "mysql.dashboardPersonalTables" . }}; do grant REFERENCES "$table"; done
  echo "ALTER USER $role IDENTIFIED BY $(text dashboard/MYSQL_PWD) ACCOUNT UNLOCK;"
}
(umask 077; dashboard_role > /tmp/dashboard.sql)
{{- end }}

{{/* The lines of my.cnf from the values. A blank value makes a line with only the name. */}}
{{- define "mysql.settings" -}}
{{- $ours := "the chart's start script sets it" -}}
{{- $refused := dict "datadir" $ours "init_file" $ours "init-file" $ours -}}
{{- $settings := dict "name" "config" "values" .Values.config "refused" $refused "hyphens" true -}}
{{- include "common.requireSettings" $settings -}}
{{- include "common.requireDistinct" $settings -}}
{{- range $name, $value := .Values.config }}
{{- $place := print "config." $name }}
{{- $text := include "common.scalar" (list $place $value) }}
{{- if kindIs "bool" $value }}
{{- /* YAML reads ON as true, which not every setting of MySQL accepts. */}}
{{- $text = $value | ternary "ON" "OFF" }}
{{- end }}
{{- if gt (len $text) 2000 }}
{{- fail (printf "%s is longer than 2000 bytes, which MySQL does not read from a file: shorten it" $place) }}
{{- end }}
{{ $name }}{{ if ne $text "" }} = "{{ include "mysql.escaped" $text }}"{{ end }}
{{- end }}
{{- end }}

{{/* A text, escaped for a quoted value in my.cnf. */}}
{{- define "mysql.escaped" -}}
{{- . | replace "\\" "\\\\" | replace "\"" "\\\"" | replace "\n" "\\n" | replace "\r" "\\r" | replace "\t" "\\t" -}}
{{- end }}

{{/* Refuse names that the first start could not give to the user and the database that it creates. */}}
{{- define "mysql.requireNames" -}}
{{- $users := list "root" "mysql.sys" "mysql.session" "mysql.infoschema" "event_scheduler" -}}
{{- $databases := list "mysql" "sys" "information_schema" "performance_schema" -}}
{{- with .Values.auth -}}
{{- range $name, $user := dict "auth.user" .user "auth.dashboard.user" .dashboard.user -}}
{{- if has $user $users -}}
{{- fail (printf "%s is %s, a name that MySQL reserves: choose another name" $name $user) -}}
{{- end -}}
{{- if not (regexMatch "^[^\\x00-\\x1f\\x7f]{1,32}$" $user) -}}
{{- fail (printf "%s is not a valid name in MySQL: use at most 32 characters, and no control characters" $name) -}}
{{- end -}}
{{- end -}}
{{- if eq .user .dashboard.user -}}
{{- fail "auth.user and auth.dashboard.user are the same, but the dashboard's user may only read: choose two names" -}}
{{- end -}}
{{- if has (lower .database) $databases -}}
{{- fail (printf "auth.database is %s, a name that MySQL reserves: choose another name" .database) -}}
{{- end -}}
{{- if or (regexMatch "[\\x00-\\x1f\\x7f/\\\\]| $" .database) (not (regexMatch "^.{1,64}$" .database)) -}}
{{- fail "auth.database is not a valid name in MySQL: use at most 64 characters, no slash, backslash or control character, and no space at the end" -}}
{{- end -}}
{{- end -}}
{{- end }}
