{{- define "service-library.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "service-library.metadata" . | nindent 2 }}
spec:
  {{- if not .Values.autoscaling.enabled }}
  replicas: {{ .Values.replicaCount }}
  {{- end }}
  minReadySeconds: {{ .Values.minReadySeconds }}
  progressDeadlineSeconds: {{ .Values.progressDeadlineSeconds }}
  revisionHistoryLimit: {{ .Values.revisionHistoryLimit }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  selector:
    matchLabels:
      {{- include "service-library.selectorLabels" . | nindent 6 }}
  template:
    {{- include "service-library.pod" . | nindent 4 }}
{{- end -}}

{{- define "service-library.pod" -}}
metadata:
  labels:
    {{- include "service-library.selectorLabels" . | nindent 4 }}
    {{- include "service-library.version" . | nindent 4 }}
    app.kubernetes.io/part-of: ecochain
  annotations:
    prometheus.io/scrape: "true"
    prometheus.io/port: {{ .Values.service.metricsPort | quote }}
    prometheus.io/path: /metrics
    {{- if .Values.vault.enabled }}
    {{- include "service-library.vault" . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "service-library.fullname" . }}
  # Only Vault's agent shows it to anybody.
  automountServiceAccountToken: {{ .Values.vault.enabled }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add .Values.drain.seconds .Values.drain.shutdownSeconds }}
  securityContext:
    {{- include "service-library.podSecurity" . | nindent 4 }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  tolerations:
    - key: node.kubernetes.io/unreachable
      operator: Exists
      effect: NoExecute
      tolerationSeconds: {{ .Values.tolerationSeconds }}
    - key: node.kubernetes.io/not-ready
      operator: Exists
      effect: NoExecute
      tolerationSeconds: {{ .Values.notReadyTolerationSeconds }}
    {{- with .Values.tolerations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.topologySpread }}
  topologySpreadConstraints:
    {{- range . }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      nodeTaintsPolicy: Honor
      labelSelector:
        matchLabels:
          {{- include "service-library.selectorLabels" $ | nindent 10 }}
      matchLabelKeys:
        - pod-template-hash
    {{- end }}
  {{- end }}
  containers:
    - {{ include "service-library.container" . | indent 6 | trim }}
  {{- with include "service-library.volumes" . }}
  volumes:
    {{- trim . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "service-library.container" -}}
name: {{ .Chart.Name }}
image: {{ include "service-library.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
ports:
  - name: http
    containerPort: {{ .Values.service.port }}
    protocol: TCP
  - name: metrics
    containerPort: {{ .Values.service.metricsPort }}
    protocol: TCP
{{- if .Values.drain.seconds }}
lifecycle:
  preStop:
    httpGet:
      path: /drain?seconds={{ .Values.drain.seconds }}
      port: metrics
{{- end }}
{{- if .Values.probes.startup.enabled }}
startupProbe:
  {{- include "service-library.probe" .Values.probes.startup | nindent 2 }}
{{- end }}
livenessProbe:
  {{- include "service-library.probe" .Values.probes.liveness | nindent 2 }}
readinessProbe:
  {{- include "service-library.probe" .Values.probes.readiness | nindent 2 }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- include "service-library.containerSecurity" . | nindent 2 }}
env:
  {{- include "service-library.variables" . | nindent 2 }}
{{- with include "service-library.mounts" . }}
volumeMounts:
  {{- trim . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "service-library.probe" -}}
httpGet:
  path: {{ .path }}
  port: http
{{- with .initialDelaySeconds }}
initialDelaySeconds: {{ . }}
{{- end }}
periodSeconds: {{ .periodSeconds }}
timeoutSeconds: {{ .timeoutSeconds }}
failureThreshold: {{ .failureThreshold }}
{{- end -}}
