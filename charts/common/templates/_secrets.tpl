{{/*
A Secret whose passwords are generated once and kept. An upgrade looks them up in the cluster. They outlive the
release, because the data that they protect does too. Input besides the part:
  name       the Secret's name
  data       its other keys and values, in plain text
  claim      the claim of the volume whose data depends on the generated values, if there is one: while it exists,
             the values are not generated again
  generated  a dict of the keys to generate, each with the value for a new Secret, as in
             (dict "PGPASSWORD" (randAlphaNum 32))
*/}}
{{- define "common.secret" -}}
{{- $root := .root | default . -}}
{{- $present := (lookup "v1" "Secret" $root.Release.Namespace .name | default dict).data | default dict -}}
{{- $claim := .claim | default "" -}}
{{- $kept := and $claim (lookup "v1" "PersistentVolumeClaim" $root.Release.Namespace $claim) -}}
{{- range $key, $_ := .generated -}}
{{- if and $kept (not (hasKey $present $key)) -}}
{{- fail (printf "the Secret %s has no %s, but the claim %s is there, and its data was created with it: restore the Secret, or remove the claim with its data" $.name $key $claim) -}}
{{- end -}}
{{- end -}}
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
  {{ $key }}: {{ include "common.scalar" (list $key $value) | b64enc }}
  {{- end }}
  {{- range $key, $value := .generated }}
  {{ $key }}: {{ get $present $key | default ($value | b64enc) }}
  {{- end }}
{{- end }}
