{{/* The chart's name, or what the user calls it. */}}
{{- define "database-backup-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Name of everything: the release's, with the chart's in it once. */}}
{{- define "database-backup-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "database-backup-operator.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "database-backup-operator.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Where the operator runs. */}}
{{- define "database-backup-operator.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "database-backup-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "database-backup-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* They select the operator's Pods. */}}
{{- define "database-backup-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "database-backup-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* On everything but the Pods. */}}
{{- define "database-backup-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "database-backup-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: database-backup-operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* metadata of an object of the operator's namespace. Call with (dict "context" $ "name" … "namespace" … "labels" … "annotations" …); the last four may be absent. */}}
{{- define "database-backup-operator.metadata" -}}
{{- $ := .context -}}
name: {{ default (include "database-backup-operator.fullname" $) .name }}
{{- if ne (default "" .namespace) "-" }}
namespace: {{ default (include "database-backup-operator.namespace" $) .namespace }}
{{- end }}
labels:
  {{- merge (dict) (default dict .labels) (include "database-backup-operator.labels" $ | fromYaml) | toYaml | nindent 2 }}
{{- with merge (dict) (default dict .annotations) $.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A digest says exactly which image; the tag beside it is for people. */}}
{{- define "database-backup-operator.image" -}}
{{- $image := .Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}{{ with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "database-backup-operator.leaseName" -}}
{{- default (include "database-backup-operator.fullname" .) .Values.leaderElection.leaseName }}
{{- end }}

{{/* Settings as the environment, so that `run` and `check` have the same. */}}
{{- define "database-backup-operator.env" -}}
{{- with .Values.operator.watchNamespaces }}
- name: DBBACKUP_WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.operator.clusterResourceNamespace }}
- name: DBBACKUP_CLUSTER_RESOURCE_NAMESPACE
  value: {{ . | quote }}
{{- end }}
- name: DBBACKUP_LEADER_ELECT
  value: {{ .Values.leaderElection.enabled | quote }}
{{- if .Values.leaderElection.enabled }}
- name: DBBACKUP_LEASE_NAME
  value: {{ include "database-backup-operator.leaseName" . | quote }}
- name: DBBACKUP_LEASE_DURATION
  value: {{ .Values.leaderElection.leaseDuration | quote }}
{{- end }}
- name: DBBACKUP_LISTEN
  value: {{ printf "[::]:%v" .Values.operator.port | quote }}
- name: DBBACKUP_POLL_INTERVAL
  value: {{ .Values.operator.pollInterval | quote }}
- name: DBBACKUP_SETTLE_DELAY
  value: {{ .Values.operator.settleDelay | quote }}
- name: DBBACKUP_RESYNC_INTERVAL
  value: {{ .Values.operator.resyncInterval | quote }}
- name: DBBACKUP_BLOCKED_GRACE
  value: {{ .Values.operator.blockedGrace | quote }}
- name: DBBACKUP_GONE_AFTER
  value: {{ .Values.operator.goneAfter | quote }}
- name: DBBACKUP_RETRY_BACKOFF
  value: {{ .Values.operator.retryBackoff | quote }}
- name: DBBACKUP_CONCURRENCY
  value: {{ .Values.operator.concurrency | quote }}
{{- with .Values.operator.allowedEndpointHosts }}
- name: DBBACKUP_ALLOWED_ENDPOINT_HOSTS
  value: {{ join "," . | quote }}
{{- end }}
- name: DBBACKUP_LOG_FORMAT
  value: {{ .Values.operator.logFormat | quote }}
- name: DBBACKUP_LOG_LEVEL
  value: {{ .Values.operator.logLevel | quote }}
{{- end }}
