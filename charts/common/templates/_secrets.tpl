{{/*
A Secret whose passwords are generated once and stay: over upgrades, as they are looked up in the cluster, and when
the release goes, as the data that they open stay too. Beside the part:
  name       the Secret's name
  data       its other keys and values, in plain text
  generated  a dict of the keys to generate and of what a new value would be, as in
             (dict "PGPASSWORD" (randAlphaNum 32))
*/}}
{{- define "common.secret" -}}
{{- $root := .root | default . -}}
{{- $present := (lookup "v1" "Secret" $root.Release.Namespace .name | default dict).data | default dict -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ .name }}
  labels:
    {{- include "common.labels" . | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
type: Opaque
data:
  {{- range $key, $value := .data }}
  {{ $key }}: {{ $value | toString | b64enc }}
  {{- end }}
  {{- range $key, $value := .generated }}
  {{ $key }}: {{ get $present $key | default ($value | b64enc) }}
  {{- end }}
{{- end }}
