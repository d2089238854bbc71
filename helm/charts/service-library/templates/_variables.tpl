{{/* What a service learns from its environment. Credentials come from Secrets that exist already: their names are
<fullname>-mongodb, <fullname>-redis and <fullname>-jwt unless the values say others. */}}
{{- define "service-library.variables" -}}
{{- $values := .Values -}}
- name: ENVIRONMENT
  value: {{ $values.environment | quote }}
- name: PORT
  value: {{ $values.service.port | quote }}
- name: METRICS_PORT
  value: {{ $values.service.metricsPort | quote }}
- name: IMAGE_DIGEST
  value: {{ $values.image.digest | quote }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- with $values.jwt }}
- name: JWT_KEYS_FILE
  value: /etc/ecochain/jwt/{{ .key }}
- name: TOKEN_TTL_S
  value: {{ .tokenTtlSeconds | int | quote }}
{{- end }}
{{- with $values.scryptLog2N }}
- name: SCRYPT_LOG2_N
  value: {{ . | quote }}
{{- end }}
{{- with $values.requiredDependencies }}
- name: REQUIRED_DEPENDENCIES
  value: {{ join "," . | quote }}
{{- end }}
{{- with $values.mongodb }}
{{- if .enabled }}
- name: MONGODB_URI
  valueFrom:
    {{- include "service-library.secret" (list $ "mongodb" .) | nindent 4 }}
{{- end }}
{{- end }}
{{- with $values.redis }}
{{- if .enabled }}
- name: REDIS_HOST
  value: {{ .host | quote }}
- name: REDIS_PORT
  value: {{ .port | quote }}
- name: REDIS_URL
  valueFrom:
    {{- include "service-library.secret" (list $ "redis" .) | nindent 4 }}
{{- end }}
{{- end }}
{{- range $name, $value := merge (dict) $values.upstreams $values.serviceEnvironment }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "service-library.secret" -}}
{{- $root := index . 0 -}}
{{- $kind := index . 1 -}}
{{- $given := index . 2 -}}
secretKeyRef:
  name: {{ include "service-library.secretName" . }}
  key: {{ $given.key }}
{{- end -}}

{{- define "service-library.secretName" -}}
{{- (index . 2).existingSecret | default (printf "%s-%s" (include "service-library.fullname" (index . 0)) (index . 1)) -}}
{{- end -}}

{{/* A directory, not a single file: only so does a rotated key reach a running pod. */}}
{{- define "service-library.keysInFile" -}}
{{- if .Values.jwt }}true{{ end -}}
{{- end -}}

{{- define "service-library.volumes" -}}
{{- if include "service-library.keysInFile" . }}
- name: jwt
  secret:
    secretName: {{ include "service-library.secretName" (list . "jwt" .Values.jwt) }}
    defaultMode: 0440
{{- end }}
{{- with .Values.temporarySpace }}
- name: tmp
  emptyDir:
    medium: Memory
    sizeLimit: {{ . }}
{{- end }}
{{- end -}}

{{- define "service-library.mounts" -}}
{{- if include "service-library.keysInFile" . }}
- name: jwt
  mountPath: /etc/ecochain/jwt
  readOnly: true
{{- end }}
{{- if .Values.temporarySpace }}
- name: tmp
  mountPath: /tmp
{{- end }}
{{- end -}}

{{- define "service-library.vault" -}}
vault.hashicorp.com/agent-inject: "true"
vault.hashicorp.com/role: {{ .Values.vault.role | default .Chart.Name | quote }}
{{- range $name, $path := .Values.vault.secrets }}
vault.hashicorp.com/agent-inject-secret-{{ $name }}: {{ $path | quote }}
{{- end }}
{{- range $name, $template := .Values.vault.templates }}
vault.hashicorp.com/agent-inject-template-{{ $name }}: {{ $template | quote }}
{{- end }}
{{- end -}}
