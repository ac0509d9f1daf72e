{{- define "keras-image-service.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "keras-image-service.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "keras-image-service.labels" -}}
{{ include "keras-image-service.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "keras-image-service.image" -}}
{{- $where := required "image.repository: say where your image is, such as registry.example/OWNER/keras-image-service" .Values.image.repository }}
{{- if .Values.image.digest }}{{ $where }}@{{ .Values.image.digest }}
{{- else }}{{ $where }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{- /* "true" where there may be more than one pod. */ -}}
{{- define "keras-image-service.replicated" -}}
{{- or (gt (int .Values.replicas) 1) (ne .Values.autoscaling.mode "none") }}
{{- end }}

{{- /* A setting's value as text: YAML's numbers come as floats, and 10485760 would become 1.048576e+07. */ -}}
{{- define "keras-image-service.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{- /* What contradicts itself is refused here, with what to do. */ -}}
{{- define "keras-image-service.check" -}}
{{- with .Values }}
{{- if and .model.existingClaim .model.url }}
{{- fail "model.existingClaim and model.url: give one of them, the model is either in the claim or fetched" }}
{{- end }}
{{- if and .model.url .model.path }}
{{- fail "model.path is of a claim or the image; the file at model.url has none" }}
{{- end }}
{{- if and (ne .autoscaling.mode "none") (gt (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas)) }}
{{- fail (printf "autoscaling.minReplicas %v is more than autoscaling.maxReplicas %v" .autoscaling.minReplicas .autoscaling.maxReplicas) }}
{{- end }}
{{- if and .serviceMonitor.enabled .apiKeys.existingSecret (not .serviceMonitor.keySecret.name) }}
{{- fail "serviceMonitor.keySecret.name: /metrics needs an API key, too; name a secret with one for Prometheus" }}
{{- end }}
{{- if and .ingress.enabled (not .ingress.host) }}
{{- fail "ingress.host: say under which name the service is to be found" }}
{{- end }}
{{- end }}
{{- end }}
