{{/*
A bash script that starts a database server on its data, and creates the data at the first start. It deletes nothing
that may be data. The first start works in a separate folder, which no server has ever served, and gives it the name
of the data folder as its last step. So the data is complete or absent, whenever the script is killed. If anything
else is in the place of the data, the start is refused. Input, a dict:
  volume      where the volume is mounted
  data        the name of the data folder in the volume
  present     what a data folder always contains, as in (list "PG_VERSION")
  marker      the file in the volume by which earlier versions of the chart marked an unfinished first start
  initialize  bash commands that create the data in the folder $unfinished, and leave no server running
  prepare     bash commands to run before each start of the server, if any
  serve       the command that serves the data
*/}}
{{- define "common.databaseStart" -}}
volume={{ .volume }}
data=$volume/{{ .data }}
unfinished=$data-unfinished
marker=$volume/{{ .marker }}
kept=5
{{- /* All messages go to standard error, like those of the servers. */}}
say() { echo "$*" >&2; }
refuse() { say "Refused to start: $*"; exit 1; }
missing() {
  for name in {{ join " " .present }}; do
    [ -e "$data/$name" ] || { echo "$name"; return; }
  done
}
require_no_data() {
  if [ -e "$data" ] || [ -L "$data" ]; then
    found=$(ls -A "$data") || refuse "$data cannot be read: check who owns the volume."
    [ -z "$found" ] || refuse "$data contains files, but no $(missing). They may be data from a damaged volume, or data" \
      "that was restored in part, so nothing was changed. Restore the missing file, or a backup, in this folder;" \
      "to start with an empty database, move the folder away."
  fi
  strangers=$(cd "$volume" && ls -d -- * 2>/dev/null | grep -Evx 'lost\+found|{{ .data }}|{{ .data }}-unfinished.*|{{ .marker | dir | eq "." | ternary .marker (dir .marker) }}' || true)
  [ -z "$strangers" ] || refuse "the volume contains $(echo $strangers), but not $data, where the data must be." \
    "Nothing was changed: put the data there, or use an empty volume."
}
move_aside() {
  number=1
  while [ -e "$unfinished-$number" ]; do number=$((number + 1)); done
  [ "$number" -le "$kept" ] || refuse "$kept first starts were killed, and left $unfinished-1 to -$kept. They contain" \
    "no data that was ever in use: find out why the server was killed, remove them and $unfinished, and start again."
  mv -T "$unfinished" "$unfinished-$number"
  say "The first start was killed before it was done. What it left is now in $unfinished-$number, and the start begins again."
}
initialize() {
  {{- .initialize | trim | nindent 2 }}
}
{{- /* `initialize` is not called in a condition, because bash would then go on after a command that fails. */}}
if [ -n "$(missing)" ]; then
  require_no_data
  [ ! -e "$unfinished" ] || move_aside
  mkdir -m 0700 "$unfinished"
  trap 'rm -rf "$unfinished"; say "The first start failed, and what it had created was removed. The lines above give the reason."' EXIT
  initialize
  rm -f "$marker"
  sync -f "$volume"
  trap - EXIT
  mv -T "$unfinished" "$data"
  sync -f "$volume"
elif [ -e "$marker" ]; then
  refuse "$marker says that an earlier version of this chart began a first start and did not finish it, but $data contains" \
    "data. If the data is complete, remove that file; if the server was never in use, remove $data and that file."
fi
{{- with .prepare }}
{{ . | trim }}
{{- end }}
exec {{ .serve }}
{{- end }}
