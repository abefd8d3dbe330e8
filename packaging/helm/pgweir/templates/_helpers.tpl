{{- define "pgweir.name" -}}
{{ .Release.Name | trunc 56 | trimSuffix "-" }}-pgweir
{{- end }}

{{- define "pgweir.selector" -}}
app.kubernetes.io/name: pgweir
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pgweir.labels" -}}
{{ include "pgweir.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "pgweir.secret" -}}
{{ .Values.existingSecret | default (include "pgweir.name" .) }}
{{- end }}
