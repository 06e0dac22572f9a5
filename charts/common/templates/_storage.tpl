{{/*
The volume of the part's data, from `persistence` of the part's values, {enabled, size, storageClass}. If
persistence is off, the data is lost with the pod. The volume's name is `data`.
*/}}

{{/* For a StatefulSet's spec: its volumeClaimTemplates, or nothing if persistence is off. */}}
{{- define "common.volumeClaimTemplates" -}}
{{- $root := .root | default . -}}
{{- $values := .values | default $root.Values -}}
{{- if $values.persistence.enabled -}}
volumeClaimTemplates:
  - apiVersion: v1
    kind: PersistentVolumeClaim
    metadata:
      name: data
      labels:
        {{- include "common.selectorLabels" . | nindent 8 }}
    spec:
      {{- include "common.claimSpec" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* For a StatefulSet's volumes: an emptyDir if persistence is off, or else nothing. */}}
{{- define "common.statefulSetVolume" -}}
{{- $root := .root | default . -}}
{{- $values := .values | default $root.Values -}}
{{- if not $values.persistence.enabled -}}
- name: data
  emptyDir:
    sizeLimit: {{ toJson $values.persistence.size }}
{{- end }}
{{- end }}

{{/* For a Deployment's volumes: the claim of common.persistentVolumeClaim, or an emptyDir if persistence is off. */}}
{{- define "common.deploymentVolume" -}}
{{- $root := .root | default . -}}
{{- $values := .values | default $root.Values -}}
- name: data
  {{- if $values.persistence.enabled }}
  persistentVolumeClaim:
    claimName: {{ include "common.name" . }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ toJson $values.persistence.size }}
  {{- end }}
{{- end }}

{{/* The claim of a Deployment, kept after the release like a StatefulSet's claims; nothing if persistence is off. */}}
{{- define "common.persistentVolumeClaim" -}}
{{- $root := .root | default . -}}
{{- $values := .values | default $root.Values -}}
{{- if $values.persistence.enabled -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ include "common.name" . }}
  labels:
    {{- include "common.labels" . | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  {{- include "common.claimSpec" . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "common.claimSpec" -}}
{{- $root := .root | default . -}}
{{- $persistence := (.values | default $root.Values).persistence -}}
accessModes: [ReadWriteOnce]
{{- with $persistence.storageClass | default ($root.Values.global | default dict).storageClass }}
storageClassName: {{ toJson . }}
{{- end }}
resources:
  requests:
    storage: {{ toJson $persistence.size }}
{{- end }}
