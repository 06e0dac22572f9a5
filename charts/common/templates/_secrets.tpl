{{/*
A Secret whose passwords are generated once and stay: over upgrades, as they are looked up in the cluster, and when
the release goes, as the data that they open stay too. Beside the part:
  name       the Secret's name
  data       its other keys and values, in plain text
  claim      the name of the volume's claim whose data know the generated values, if there is one: they are not
             generated anew while it is there
  generated  a dict of the keys to generate and of what a new value would be, as in
             (dict "PGPASSWORD" (randAlphaNum 32))
*/}}
{{- define "common.secret" -}}
{{- $root := .root | default . -}}
{{- $present := (lookup "v1" "Secret" $root.Release.Namespace .name | default dict).data | default dict -}}
{{- $claim := .claim | default "" -}}
{{- $kept := and $claim (lookup "v1" "PersistentVolumeClaim" $root.Release.Namespace $claim) -}}
{{- range $key, $_ := .generated -}}
{{- if and $kept (not (hasKey $present $key)) -}}
{{- fail (printf "the Secret %s has no %s, but the claim %s is there, whose data was created with it: restore the Secret, or remove the claim with its data" $.name $key $claim) -}}
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
