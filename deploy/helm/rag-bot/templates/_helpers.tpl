{{- define "rag-bot.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "rag-bot.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "rag-bot.labels" -}}
{{ include "rag-bot.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* What each container of the image shares: who it is, what it sees, what it may not do. */}}
{{- define "rag-bot.container" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
workingDir: /etc/rag-bot
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: ["ALL"]
env:
  - name: RAG_BOT_INDEX
    value: /index/rag-bot
  - name: RAG_BOT_EXPORTS
    value: /index/exports
  - name: RAG_BOT_HOST
    value: 0.0.0.0
  - name: RAG_BOT_PORT
    value: "8000"
  - name: RAG_BOT_AUTH
    value: "on"
  # Not /run/secrets: clouds mount tokens of their own in there.
  - name: CREDENTIALS_DIRECTORY
    value: /etc/rag-bot-secrets
  {{- if .Values.readers }}
  - name: RAG_BOT_READERS
    value: /etc/rag-bot/readers.toml
  {{- end }}
  {{- if and .Values.ingress.enabled (not (hasKey .Values.env "RAG_BOT_PUBLIC_URL")) }}
  - name: RAG_BOT_PUBLIC_URL
    value: {{ printf "%s://%s" (ternary "https" "http" (ne .Values.ingress.tlsSecret "")) .Values.ingress.host | quote }}
  {{- end }}
  {{- range $name, $value := .Values.env }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: index
    mountPath: /index
  - name: config
    mountPath: /etc/rag-bot
    readOnly: true
  - name: secrets
    mountPath: /etc/rag-bot-secrets
    readOnly: true
  - name: tmp
    mountPath: /tmp
  {{- if .Values.documents.volume }}
  - name: documents
    mountPath: {{ .Values.documents.mountPath }}
    readOnly: true
  {{- end }}
{{- end }}
