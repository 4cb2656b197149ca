{{/* At most 52 characters: Kubernetes puts the name of a StatefulSet and 11 more into a label of its pods. */}}
{{- define "driftlock.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "driftlock.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "driftlock.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "driftlock.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "driftlock.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "driftlock.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The port of an address such as 0.0.0.0:4317. */}}
{{- define "driftlock.port" -}}
{{- regexFind "[0-9]+$" . -}}
{{- end -}}

{{/* Not empty if several processes work together through Kafka. */}}
{{- define "driftlock.kafka" -}}
{{- with .Values.config.kafka -}}
{{- if .brokers -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* The service of the API and the dashboard. */}}
{{- define "driftlock.apiService" -}}
{{- include "driftlock.fullname" . -}}
{{- if include "driftlock.kafka" . -}}-api{{- end -}}
{{- end -}}

{{/* The topics that a role reads, and the consumer group by which it reads each, both without their prefix. */}}
{{- define "driftlock.reads" -}}
{{- if eq . "worker" -}}
in: worker
{{- else if eq . "forward" -}}
out: forward
{{- else if eq . "sink" -}}
anomalies: sink-anomalies
statistics: sink-statistics
{{- end -}}
{{- end -}}

{{/* A role that reads a topic has no use for more pods than the topic has partitions. */}}
{{- define "driftlock.maxReplicas" -}}
{{- $most := int .autoscaling.maxReplicas -}}
{{- if include "driftlock.reads" .role -}}
{{- $partitions := default 64 .root.Values.config.kafka.partitions | int -}}
{{- $most = min (default $partitions $most) $partitions -}}
{{- end -}}
{{- max $most .autoscaling.minReplicas -}}
{{- end -}}

{{/* The data of a ConfigMap. */}}
{{- define "driftlock.configuration" -}}
driftlock.yaml: |
  {{- toYaml .Values.config | nindent 2 }}
{{- end -}}
