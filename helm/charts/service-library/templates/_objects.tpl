{{/* Every object of a service. */}}
{{- define "service-library.objects" -}}
{{ include "service-library.deployment" . }}
---
{{ include "service-library.service" . }}
---
{{ include "service-library.serviceaccount" . }}
{{- if and .Values.podDisruptionBudget.enabled (gt (int (include "service-library.leastReplicas" .)) 1) }}
---
{{ include "service-library.poddisruptionbudget" . }}
{{- end }}
{{- if .Values.autoscaling.enabled }}
---
{{ include "service-library.horizontalpodautoscaler" . }}
{{- end }}
{{- if .Values.networkPolicy.enabled }}
---
{{ include "service-library.networkpolicy" . }}
{{- end }}
{{- end -}}

{{- define "service-library.leastReplicas" -}}
{{- ternary .Values.autoscaling.minReplicas .Values.replicaCount .Values.autoscaling.enabled -}}
{{- end -}}

{{- define "service-library.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "service-library.metadata" . | nindent 2 }}
spec:
  type: {{ .Values.service.type }}
  ports:
    - name: http
      port: {{ .Values.service.port }}
      targetPort: http
      protocol: TCP
  selector:
    {{- include "service-library.selectorLabels" . | nindent 4 }}
{{- end -}}

{{- define "service-library.serviceaccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "service-library.metadata" . | nindent 2 }}
automountServiceAccountToken: false
{{- end -}}

{{- define "service-library.poddisruptionbudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "service-library.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "service-library.selectorLabels" . | nindent 6 }}
{{- end -}}

{{- define "service-library.horizontalpodautoscaler" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "service-library.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "service-library.fullname" . }}
  minReplicas: {{ .Values.autoscaling.minReplicas }}
  maxReplicas: {{ .Values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .Values.autoscaling.targetCpuPercent }}
{{- end -}}
