{{/* A store: one pod with a volume, and the Service by whose name its clients know it. Needs the templates
<chart>.container (what is peculiar to the container), <chart>.volumes and, or empty, <chart>.annotations. */}}
{{- define "service-library.store" -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "service-library.storeMetadata" . | nindent 2 }}
spec:
  serviceName: {{ .Values.store.service }}
  # One writer: the volume can be mounted once, and neither store is replicated here.
  replicas: 1
  selector:
    matchLabels:
      {{- include "service-library.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "service-library.storeLabels" . | nindent 8 }}
      {{- with include (printf "%s.annotations" .Chart.Name) . }}
      annotations:
        {{- . | nindent 8 }}
      {{- end }}
    spec:
      # No tolerationSeconds: the volume lies on the node, so that leaving a lost one early gains nothing.
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      {{- with .Values.storage.preferredNode }}
      affinity:
        nodeAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              preference:
                matchExpressions:
                  - {key: kubernetes.io/hostname, operator: In, values: [{{ . | quote }}]}
      {{- end }}
      securityContext:
        {{- include "service-library.podSecurity" . | nindent 8 }}
      containers:
        - name: {{ .Chart.Name }}
          image: {{ printf "%s@%s" .Values.image.repository (required "image.digest: a store's image is pinned" .Values.image.digest) | quote }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          securityContext:
            {{- include "service-library.containerSecurity" . | nindent 12 }}
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
          {{- include (printf "%s.container" .Chart.Name) . | nindent 10 }}
      volumes:
        # In memory: on the node's disk a limit binds nobody, kubelet only evicts the pod some time after.
        - name: tmp
          emptyDir:
            medium: Memory
            sizeLimit: 64Mi
        {{- with include (printf "%s.volumes" .Chart.Name) . }}
        {{- . | nindent 8 }}
        {{- end }}
  volumeClaimTemplates:
    - metadata:
        name: data
        labels:
          {{- include "service-library.selectorLabels" . | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {{ .Values.storage.className }}
        resources:
          requests:
            storage: {{ .Values.storage.size }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "service-library.storeMetadata" (merge (dict "name" .Values.store.service) .) | nindent 2 }}
spec:
  type: ClusterIP
  ports:
    - name: store
      port: {{ .Values.store.port }}
      targetPort: store
      protocol: TCP
  selector:
    {{- include "service-library.selectorLabels" . | nindent 4 }}
{{- if .Values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "service-library.storeMetadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "service-library.selectorLabels" . | nindent 6 }}
  # Nothing goes out, not even a question for a name.
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        {{- range .Values.networkPolicy.from }}
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: {{ . }}
        {{- end }}
      ports:
        - port: store
          protocol: TCP
    {{- with .Values.networkPolicy.metricsFrom }}
    - from:
        {{- range . }}
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: {{ . }}
        {{- end }}
      ports:
        - port: metrics
          protocol: TCP
    {{- end }}
{{- end }}
{{- end -}}

{{/* The component is what the services' NetworkPolicies select by. */}}
{{- define "service-library.storeLabels" -}}
{{ include "service-library.selectorLabels" . }}
app.kubernetes.io/component: {{ .Values.store.service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: ecochain
{{- end -}}

{{- define "service-library.storeMetadata" -}}
name: {{ .name | default (include "service-library.fullname" .) }}
labels:
  {{- include "service-library.storeLabels" . | nindent 2 }}
  app.kubernetes.io/managed-by: {{ .Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}
