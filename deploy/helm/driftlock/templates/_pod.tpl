{{/*
The pod of every workload, from a dictionary:
  root       the chart's own context
  args       the command of Driftlock, without --config
  resources  of the container
  role       what the process does, as the label of a component; without one, it does everything and keeps its data directory
  hook       for a pod that runs once, before the release exists: the name of the ConfigMap that it has instead
*/}}
{{- define "driftlock.pod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "driftlock.labels" $root | nindent 4 }}
    {{- with .role }}
    app.kubernetes.io/component: {{ . }}
    {{- end }}
    {{- if not .hook }}
    driftlock/metrics: "true"
    {{- end }}
    {{- with $root.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ toYaml $root.Values.config | sha256sum }}
    {{- with $root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- if not .hook }}
  serviceAccountName: {{ include "driftlock.serviceAccountName" $root }}
  {{- else }}
  restartPolicy: Never
  {{- end }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $root.Values.terminationGracePeriodSeconds }}
  {{- with $root.Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  containers:
    - name: driftlock
      image: "{{ $root.Values.image.repository }}:{{ default $root.Chart.AppVersion $root.Values.image.tag }}"
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [{{ join ", " .args }}, --config, /etc/driftlock/driftlock.yaml]
      env:
        # For the probes below. It overrides the configuration and the variable that the image sets.
        - name: DRIFTLOCK_HEALTH_ENDPOINT
          value: "0.0.0.0:13133"
        {{- with $root.Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- if not .hook }}
      ports:
        {{- if or (not .role) (eq .role "router") }}
        - name: otlp-grpc
          containerPort: {{ include "driftlock.port" $root.Values.config.receive.grpc.endpoint }}
        - name: otlp-http
          containerPort: {{ include "driftlock.port" $root.Values.config.receive.http.endpoint }}
        {{- end }}
        {{- if or (not .role) (eq .role "api") }}
        - name: api
          containerPort: {{ include "driftlock.port" $root.Values.config.api.endpoint }}
        {{- end }}
        # Not a port of the service, so that callers that exhaust the connections of the API do not affect the probes.
        - name: health
          containerPort: 13133
      startupProbe:
        httpGet: &healthz
          path: /healthz
          port: health
        periodSeconds: 2
        failureThreshold: 30
      livenessProbe:
        httpGet: *healthz
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet:
          path: /readyz
          port: health
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      resources:
        {{- toYaml .resources | nindent 8 }}
      volumeMounts:
        # Mounted as a single file, so that certificates can be mounted beside it, in /etc/driftlock/tls.
        - name: config
          mountPath: /etc/driftlock/driftlock.yaml
          subPath: driftlock.yaml
          readOnly: true
        {{- if or (not .role) (eq .role "api") }}
        - name: data
          mountPath: /var/lib/driftlock
        {{- end }}
        - name: tmp
          mountPath: /tmp
        {{- with $root.Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ .hook | default (include "driftlock.fullname" $root) }}
    - name: tmp
      emptyDir:
        sizeLimit: 64Mi
    {{- if or (not .role) (eq .role "api") }}
    - name: data
      {{- if and (not .role) $root.Values.persistence.enabled }}
      persistentVolumeClaim:
        claimName: {{ default (include "driftlock.fullname" $root) $root.Values.persistence.existingClaim }}
      {{- else }}
      emptyDir: {}
      {{- end }}
    {{- end }}
    {{- with $root.Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
