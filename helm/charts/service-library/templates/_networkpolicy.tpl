{{/* What may come in: the declared callers and the readers of metrics. What may go out: names, the upstreams, the
stores, and what the values list. A store is found in the namespace by its component label; one outside the
cluster is listed in toCidrs. */}}
{{- define "service-library.networkpolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "service-library.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "service-library.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- if or .Values.networkPolicy.from .Values.networkPolicy.fromCidrs }}
    - from:
        {{- range .Values.networkPolicy.from }}
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: {{ . }}
        {{- end }}
        {{- range .Values.networkPolicy.fromCidrs }}
        - ipBlock:
            cidr: {{ . }}
        {{- end }}
      ports:
        - port: http
          protocol: TCP
    {{- end }}
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
  egress:
    - to:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: kube-system
          podSelector:
            matchLabels:
              k8s-app: kube-dns
      ports:
        - port: 53
          protocol: UDP
        - port: 53
          protocol: TCP
    {{- range $variable, $url := .Values.upstreams }}
    {{- $host := (urlParse $url).host }}
    - to:
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: {{ splitList ":" $host | first }}
      ports:
        - port: {{ contains ":" $host | ternary (splitList ":" $host | last) "80" }}
          protocol: TCP
    {{- end }}
    {{- range $store, $port := dict "mongodb" 27017 "redis" 6379 }}
    {{- $wanted := index $.Values $store | default dict }}
    {{- if $wanted.enabled }}
    - to:
        - podSelector:
            matchLabels:
              app.kubernetes.io/component: {{ $store }}
      ports:
        - port: {{ $wanted.port | default $port }}
          protocol: TCP
    {{- end }}
    {{- end }}
    {{- if .Values.vault.enabled }}
    - to:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: {{ .Values.vault.namespace }}
      ports:
        - port: {{ .Values.vault.port }}
          protocol: TCP
    {{- end }}
    {{- range .Values.networkPolicy.toCidrs }}
    - to:
        - ipBlock:
            cidr: {{ .cidr }}
      ports:
        - port: {{ .port }}
          protocol: TCP
    {{- end }}
{{- end -}}
