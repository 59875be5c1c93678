{{/* The spec of the operator's Pods. */}}
{{- define "database-backup-operator.podSpec" -}}
serviceAccountName: {{ include "database-backup-operator.serviceAccountName" . | toYaml }}
automountServiceAccountToken: true
enableServiceLinks: false
{{- with include "database-backup-operator.imagePullSecrets" . | trim }}
imagePullSecrets:
  {{- . | nindent 2 }}
{{- end }}
# A create call under way may take 20 s, and what it answered has to be stored.
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{ merge (dict) . (dict "labelSelector" (dict "matchLabels" (include "database-backup-operator.selectorLabels" $ | fromYaml))) | toYaml | indent 4 | trim }}
  {{- end }}
{{- end }}
{{- with .Values.initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: operator
    image: {{ include "database-backup-operator.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args:
      - run
      {{- with .Values.operator.extraArgs }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    env:
      {{- include "database-backup-operator.env" . | trim | nindent 6 }}
      {{- with .Values.extraEnv }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with .Values.extraEnvFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    ports:
      - name: http
        containerPort: {{ .Values.operator.port }}
        protocol: TCP
    {{- with .Values.startupProbe }}
    startupProbe:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.livenessProbe }}
    livenessProbe:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.readinessProbe }}
    readinessProbe:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    {{- with concat (include "database-backup-operator.caBundleMount" . | fromYamlArray) .Values.extraVolumeMounts }}
    volumeMounts:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  {{- with .Values.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with concat (include "database-backup-operator.caBundleVolume" . | fromYamlArray) .Values.extraVolumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What the chart has no value for. A field that is there already is not overridden: whoever reads the values has to find what counts. */}}
{{- define "database-backup-operator.podSpecExtra" -}}
{{- $spec := include "database-backup-operator.podSpec" . | fromYaml }}
{{- range $field, $_ := .Values.podSpecExtra }}
{{- if hasKey $spec $field }}
{{- fail (printf "podSpecExtra.%s is set, but the chart sets this field by a value of its own" $field) }}
{{- end }}
{{- end }}
{{- with .Values.podSpecExtra }}
{{- toYaml . }}
{{- end }}
{{- end }}
