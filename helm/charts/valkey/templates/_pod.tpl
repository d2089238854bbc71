{{- define "valkey.annotations" -}}
{{- end -}}

{{/* The password reaches the server by its standard input, so that neither the list of processes nor the
environment shows it. One that still reads its file answers, but not with PONG: it lives and is not ready. */}}
{{- define "valkey.container" -}}
command:
  - /bin/sh
  - -c
  - |
    set -eu
    password=$(cat /etc/valkey-password/{{ .Values.password.key }})
    test -n "$password"
    exec valkey-server - <<END
    bind * -::*
    port {{ .Values.store.port }}
    dir /data
    appendonly yes
    appendfsync {{ .Values.storage.fsync | ternary "everysec" "no" }}
    save ""
    maxmemory {{ .Values.memory.max }}
    maxmemory-policy {{ .Values.memory.policy }}
    requirepass "$password"
    END
ports:
  - name: store
    containerPort: {{ .Values.store.port }}
    protocol: TCP
{{- range $probe, $failures := dict "startupProbe" 60 "livenessProbe" 3 "readinessProbe" 2 }}
{{ $probe }}:
  exec:
    command:
      - /bin/sh
      - -c
      - REDISCLI_AUTH=$(cat /etc/valkey-password/{{ $.Values.password.key }}) valkey-cli -p {{ $.Values.store.port }} ping{{ if ne $probe "livenessProbe" }} | grep -qx PONG{{ end }}
  periodSeconds: {{ eq $probe "startupProbe" | ternary 1 (eq $probe "livenessProbe" | ternary 10 5) }}
  timeoutSeconds: 2
  failureThreshold: {{ $failures }}
{{- end }}
volumeMounts:
  - name: data
    mountPath: /data
  - name: password
    mountPath: /etc/valkey-password
    readOnly: true
  - name: tmp
    mountPath: /tmp
{{- end -}}

{{- define "valkey.volumes" -}}
- name: password
  secret:
    secretName: {{ .Values.password.existingSecret }}
    items:
      - {key: {{ .Values.password.key }}, path: {{ .Values.password.key }}}
    defaultMode: 0440
{{- end -}}
