{{/* A text if KEDA sets the number of consumers, or else nothing. */}}
{{- define "shop.scaled" -}}
{{- if and (gt (int .Values.autoscaling.maxReplicas) 0) (.Capabilities.APIVersions.Has "keda.sh/v1alpha1") }}yes{{ end -}}
{{- end }}
