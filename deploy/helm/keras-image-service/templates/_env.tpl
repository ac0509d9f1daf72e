{{- /* The variables of the container: what the chart says itself, then the settings, then others. */ -}}
{{- define "keras-image-service.env" -}}
- {name: SERVICE_HOST, value: "0.0.0.0"}
- {name: SERVICE_PORT, value: "8000"}
- {name: SERVICE_DRAIN_TIMEOUT_S, value: {{ .Values.drainTimeoutSeconds | quote }}}
- {name: SERVICE_REPLICATED, value: {{ include "keras-image-service.replicated" . | quote }}}
{{- with .Values.model }}
{{- if .existingClaim }}
- {name: SERVICE_MODEL_PATH, value: {{ printf "/models/%s" .path | trimSuffix "/" | quote }}}
{{- else if or .url .path }}
- {name: SERVICE_MODEL_PATH, value: {{ default .path .url | quote }}}
{{- end }}
{{- with .sha256 }}
- {name: SERVICE_MODEL_SHA256, value: {{ . | quote }}}
{{- end }}
{{- if and (or .existingClaim .url) (not (hasKey $.Values.settings "CACHE_DIR")) }}
# What was converted once is found again when the container is restarted in its pod.
- {name: SERVICE_CACHE_DIR, value: /tmp/converted}
{{- end }}
{{- end }}
{{- with .Values.apiKeys }}
{{- if .existingSecret }}
- name: SERVICE_API_KEYS
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret }}, key: {{ .key }}}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: SERVICE_{{ $name }}, value: {{ include "keras-image-service.text" $value | quote }}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
