{{/*
Helpers that turn the user's values into text. Input of the first ones: (list NAME VALUE). Errors call the value
NAME.
*/}}

{{/*
A value as it was written. Helm reads numbers as floating point, and would print 268435456 as 2.68435456e+08. A number
that floating point can't represent exactly is refused, because Helm no longer knows how it was written.
*/}}
{{- define "common.scalar" -}}
{{- $name := index . 0 -}}
{{- $value := index . 1 -}}
{{- $text := kindIs "float64" $value | ternary (toJson $value) (toString $value) -}}
{{- if kindIs "float64" $value -}}
{{- if or (ge $value 9007199254740992.0) (le $value -9007199254740992.0) (contains "e" $text) -}}
{{- fail (printf "%s is a number that Helm can't represent exactly: write it in quotes" $name) -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x{9f}\\x{2028}\\x{2029}\\x{feff}]" $text -}}
{{- fail (printf "%s contains a control character, which settings can't have: remove it" $name) -}}
{{- end -}}
{{- $text -}}
{{- end }}

{{/* A value as a text in YAML. */}}
{{- define "common.text" -}}
{{- include "common.scalar" . | toJson -}}
{{- end }}

{{/* A value as a text in the `env`, `command` or `args` of a container, where Kubernetes reads `$$` as `$`. */}}
{{- define "common.containerText" -}}
{{- include "common.scalar" . | replace "$" "$$" | toJson -}}
{{- end }}

{{/* A value in a file that java.util.Properties reads in any encoding, as Kafka, ZooKeeper and Spark do. */}}
{{- define "common.propertyText" -}}
{{- $text := include "common.scalar" . -}}
{{- if regexMatch "[\\x{10000}-\\x{10ffff}]" $text -}}
{{- fail (printf "%s contains a character beyond U+FFFF, which a properties file can't have: remove it" (index . 0)) -}}
{{- end -}}
{{- $ascii := printf "%+q" $text | trimPrefix "\"" | trimSuffix "\"" | replace "\\\"" "\"" -}}
{{- regexReplaceAll "^ " $ascii "\\ " -}}
{{- end }}

{{/*
The lines of a properties file. Input, a dict:
  name     the name of the settings in the chart's values, as in "config"
  values   the settings
  refused  the names that may not be set, and why, as in (dict "broker.id" "it follows from the pod's number")
*/}}
{{- define "common.propertyLines" -}}
{{- include "common.requireSettings" . -}}
{{- $name := .name -}}
{{- range $key, $value := .values }}
{{ $key }}={{ include "common.propertyText" (list (printf "%s.%s" $name $key) $value) }}
{{- end }}
{{- end }}

{{/* Refuse the `refused` settings, and names that no program would read as they are. Input: see common.propertyLines. */}}
{{- define "common.requireSettings" -}}
{{- $name := .name -}}
{{- $refused := .refused | default dict -}}
{{- range $key, $_ := .values -}}
{{- if not (regexMatch "^[A-Za-z0-9_][A-Za-z0-9._-]*$" $key) -}}
{{- fail (printf "%s has a setting named %q: use only letters, digits, dots, hyphens and underscores" $name $key) -}}
{{- end -}}
{{- with get $refused $key -}}
{{- fail (printf "%s.%s cannot be set: %s" $name $key .) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
Refuse two spellings of one setting. Input, a dict: name, values (see common.propertyLines), and hyphens, which is true
if the program reads a hyphen in a name as an underscore.
*/}}
{{- define "common.requireDistinct" -}}
{{- $name := .name -}}
{{- $hyphens := .hyphens -}}
{{- $known := dict -}}
{{- range $key, $_ := .values -}}
{{- $plain := lower $key -}}
{{- if $hyphens }}{{ $plain = replace "-" "_" $plain }}{{ end -}}
{{- if hasKey $known $plain -}}
{{- fail (printf "%s has %s and %s, which are the same setting: set one of them, and set the other to null" $name (get $known $plain) $key) -}}
{{- end -}}
{{- $_ := set $known $plain $key -}}
{{- end -}}
{{- end }}
