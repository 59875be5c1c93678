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

{{/* Every Pod of the operator has them, and they select the Pods for whatever can be changed later. */}}
{{- define "database-backup-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "database-backup-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/*
What the Deployment selects its Pods by. It cannot be changed afterwards, so a Deployment that is there keeps what it has: the first ones selected by the
name alone. Where the cluster cannot be asked, as by `helm template` and Argo CD, `legacySelector` says that there is such a one.
*/}}
{{- define "database-backup-operator.deploymentSelector" -}}
{{- $existing := lookup "apps/v1" "Deployment" (include "database-backup-operator.namespace" .) (include "database-backup-operator.fullname" .) -}}
{{- if $existing -}}
{{- toYaml $existing.spec.selector }}
{{- else if .Values.legacySelector -}}
matchLabels:
  app.kubernetes.io/name: {{ include "database-backup-operator.name" . }}
{{- else -}}
matchLabels:
  {{- include "database-backup-operator.selectorLabels" . | nindent 2 }}
{{- end }}
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

{{/*
metadata of an object of the operator's namespace. Call with (dict "context" $ "name" … "namespace" … "labels" … "annotations" …); the last four may be absent.
toYaml quotes what would be read as a number or a Boolean: "123" and "on" are names, too.
*/}}
{{- define "database-backup-operator.metadata" -}}
{{- $ := .context -}}
name: {{ default (include "database-backup-operator.fullname" $) .name | toYaml }}
{{- if ne (default "" .namespace) "-" }}
namespace: {{ default (include "database-backup-operator.namespace" $) .namespace | toYaml }}
{{- end }}
labels:
  {{- merge (dict) (default dict .labels) (include "database-backup-operator.labels" $ | fromYaml) | toYaml | nindent 2 }}
{{- with merge (dict) (default dict .annotations) $.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A digest says exactly which image; the tag beside it is for people. The registry of a parent chart counts before this chart's. */}}
{{- define "database-backup-operator.image" -}}
{{- $image := .Values.image -}}
{{- with default $image.registry (.Values.global).imageRegistry }}{{ trimSuffix "/" . }}/{{ end }}{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}{{ with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* Those of a parent chart and those of this one, each once; each is a name, or a map with a name. */}}
{{- define "database-backup-operator.imagePullSecrets" -}}
{{- $names := list -}}
{{- range concat (default list (.Values.global).imagePullSecrets) (default list .Values.imagePullSecrets) -}}
{{- $names = append $names (kindIs "string" . | ternary (dict "name" .) .).name -}}
{{- end -}}
{{- range uniq $names }}
- name: {{ . }}
{{- end }}
{{- end }}

{{- define "database-backup-operator.caBundleName" -}}
{{- printf "%s-ca-bundle" (include "database-backup-operator.fullname" . | trunc 53 | trimSuffix "-") }}
{{- end }}

{{/* The volume with the certificates of `caBundle` or `caBundleFrom`, as the file ca.crt. */}}
{{- define "database-backup-operator.caBundleVolume" -}}
{{- with .Values.caBundle }}
{{- if contains "PRIVATE KEY" . }}
{{- fail "caBundle holds a private key: it is for certificates alone, and everybody may read them" }}
{{- end }}
{{- if $.Values.caBundleFrom }}
{{- fail "caBundle and caBundleFrom are both set: choose one" }}
{{- end }}
- name: ca-bundle
  configMap:
    name: {{ include "database-backup-operator.caBundleName" $ }}
{{- end }}
{{- with .Values.caBundleFrom.configMapKeyRef }}
- name: ca-bundle
  configMap:
    name: {{ .name }}
    items:
      - key: {{ .key }}
        path: ca.crt
{{- end }}
{{- with .Values.caBundleFrom.secretKeyRef }}
- name: ca-bundle
  secret:
    secretName: {{ .name }}
    items:
      - key: {{ .key }}
        path: ca.crt
{{- end }}
{{- end }}

{{/* Its mount. */}}
{{- define "database-backup-operator.caBundleMount" -}}
{{- if or .Values.caBundle .Values.caBundleFrom }}
- name: ca-bundle
  mountPath: /etc/database-backup-operator
  readOnly: true
{{- end }}
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
{{- if or .Values.caBundle .Values.caBundleFrom }}
- name: DBBACKUP_CA_BUNDLE
  value: /etc/database-backup-operator/ca.crt
{{- end }}
{{- with .Values.clusterName }}
- name: DBBACKUP_CLUSTER_NAME
  value: {{ . | quote }}
{{- end }}
- name: DBBACKUP_LOG_FORMAT
  value: {{ .Values.operator.logFormat | quote }}
- name: DBBACKUP_LOG_LEVEL
  value: {{ .Values.operator.logLevel | quote }}
{{- end }}
