{{- define "ferretdb.annotations" -}}
prometheus.io/scrape: "true"
prometheus.io/port: "8088"
prometheus.io/path: /debug/metrics
{{- end -}}

{{- define "ferretdb.container" -}}
env:
  - name: FERRETDB_HANDLER
    value: sqlite
  - name: FERRETDB_SQLITE_URL
    value: file:/data/{{ if not .Values.storage.fsync }}?_pragma=synchronous(off){{ end }}
  - name: FERRETDB_STATE_DIR
    value: /data
  - name: FERRETDB_LISTEN_ADDR
    value: {{ printf ":%d" (int .Values.store.port) | quote }}
  - name: FERRETDB_DEBUG_ADDR
    value: ":8088"
  - name: FERRETDB_TELEMETRY
    value: disable
  - name: FERRETDB_LOG_LEVEL
    value: warn
ports:
  - name: store
    containerPort: {{ .Values.store.port }}
    protocol: TCP
  - name: metrics
    containerPort: 8088
    protocol: TCP
startupProbe:
  httpGet: {path: /debug/livez, port: metrics}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /debug/livez, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /debug/readyz, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
volumeMounts:
  - name: data
    mountPath: /data
  - name: tmp
    mountPath: /tmp
{{- end -}}

{{- define "ferretdb.volumes" -}}
{{- end -}}
