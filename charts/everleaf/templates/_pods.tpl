{{/* The name of an image without tag and digest: (list $ IMAGE), where IMAGE is the values
     of an image. */}}
{{- define "everleaf.imageName" -}}
{{- $root := index . 0 }}
{{- $image := index . 1 }}
{{- $parts := list $image.registry }}
{{- if $image.repository }}
{{- $parts = append $parts $image.repository }}
{{- else if $image.name }}
{{- $parts = concat $parts (list $root.Values.imageRegistry $root.Values.imageNamespace $image.name) }}
{{- else }}
{{- fail "ERROR: image.name must be set when image.repository is empty" }}
{{- end }}
{{- join "/" (compact $parts) }}
{{- end }}

{{/* (list $ IMAGE), where IMAGE is the values of an image. */}}
{{- define "everleaf.image" -}}
{{- $root := index . 0 }}
{{- $image := index . 1 }}
{{- include "everleaf.imageName" . }}
{{- with $image.tag }}:{{ include "everleaf.text" . }}{{ end }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- if not (or $image.tag $image.digest) }}:{{ $root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* "true" if a value was set, 0 and false included. */}}
{{- define "everleaf.isSet" -}}
{{- if not (or (kindIs "invalid" .) (eq (toString .) "")) }}true{{ end }}
{{- end }}

{{/* Annotations of the pods: what the user sets wins over the annotations for scrapes. */}}
{{- define "everleaf.podAnnotations" -}}
{{- $root := index . 0 }}
{{- $values := include "everleaf.componentValues" . | fromYaml }}
{{- $annotations := deepCopy ($values.podAnnotations | default dict) }}
{{- with $root.Values.prometheus }}
{{- if and .enabled (not (or .servicemonitor.enabled .podmonitor.enabled)) (ne (index $ 1) "startupapicheck") }}
{{- with include "everleaf.metricsPort" $ }}
{{- $annotations = merge $annotations (dict "prometheus.io/path" "/metrics" "prometheus.io/scrape" "true" "prometheus.io/port" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- include "everleaf.strings" $annotations }}
{{- end }}

{{/* Metadata of the pods. */}}
{{- define "everleaf.podMetadata" -}}
{{- $values := include "everleaf.componentValues" . | fromYaml -}}
labels:
  {{- include "everleaf.labelsWith" (list . $values.podLabels) | nindent 2 }}
{{- with include "everleaf.podAnnotations" . }}
annotations:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What a pod's spec has besides its containers. */}}
{{- define "everleaf.podSpec" -}}
{{- $root := index . 0 }}
{{- $component := index . 1 }}
{{- $global := $root.Values.global }}
{{- $values := include "everleaf.componentValues" . | fromYaml -}}
serviceAccountName: {{ include "everleaf.serviceAccountName" . }}
{{- if hasKey $values "automountServiceAccountToken" }}
automountServiceAccountToken: {{ $values.automountServiceAccountToken }}
{{- end }}
enableServiceLinks: {{ $values.enableServiceLinks }}
{{- with $global.imagePullSecrets }}
{{- if or (not $values.serviceAccount.create) (eq $component "startupapicheck") }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with $global.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- if hasKey $global "hostUsers" }}
hostUsers: {{ $global.hostUsers }}
{{- end }}
{{- with default $global.runtimeClassName $values.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- with $values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with merge (deepCopy ($global.nodeSelector | default dict)) ($values.nodeSelector | default dict) }}
nodeSelector:
  {{- include "everleaf.strings" . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if or $values.config $values.volumes }}
volumes:
  {{- if $values.config }}
  - name: config
    configMap:
      name: {{ include "everleaf.componentName" . }}
  {{- end }}
  {{- with $values.volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What the container of a component has besides its arguments, ports and probes. */}}
{{- define "everleaf.container" -}}
{{- $root := index . 0 }}
{{- $component := index . 1 }}
{{- $values := include "everleaf.componentValues" . | fromYaml -}}
name: cert-manager-{{ $component }}
image: {{ include "everleaf.image" (list $root $values.image) | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
command: ["/everleaf", {{ $component | quote }}]
env:
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- if eq $component "controller" }}
{{- range $name := list "http_proxy" "https_proxy" "no_proxy" }}
{{- with get $values $name }}
- name: {{ upper $name }}
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if or $values.config $values.volumeMounts }}
volumeMounts:
{{- if $values.config }}
- name: config
  mountPath: /var/cert-manager/config
{{- end }}
{{- with $values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- with $values.containerSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The arguments that begin the list of every long-running component. */}}
{{- define "everleaf.firstArgs" -}}
{{- $root := index . 0 }}
{{- $values := include "everleaf.componentValues" . | fromYaml -}}
{{- if include "everleaf.isSet" $root.Values.global.logLevel }}
- --v={{ int $root.Values.global.logLevel }}
{{- end }}
{{- if $values.config }}
- --config=/var/cert-manager/config/config.yaml
{{- end }}
{{- end }}

{{- define "everleaf.leaderElectionArgs" -}}
{{- with .Values.global.leaderElection }}
- --leader-election-namespace={{ .namespace }}
{{- with .leaseDuration }}
- --leader-election-lease-duration={{ . }}
{{- end }}
{{- with .renewDeadline }}
- --leader-election-renew-deadline={{ . }}
{{- end }}
{{- with .retryPeriod }}
- --leader-election-retry-period={{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Replicas, history, strategy and selector of a Deployment. */}}
{{- define "everleaf.deploymentSpec" -}}
{{- $root := index . 0 }}
{{- $values := include "everleaf.componentValues" . | fromYaml -}}
replicas: {{ int $values.replicaCount }}
{{- if include "everleaf.isSet" $root.Values.global.revisionHistoryLimit }}
revisionHistoryLimit: {{ int $root.Values.global.revisionHistoryLimit }}
{{- end }}
selector:
  matchLabels:
    {{- include "everleaf.selectorLabels" . | nindent 4 }}
{{- with $values.strategy }}
strategy:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "everleaf.deploymentMetadata" -}}
{{- $values := include "everleaf.componentValues" . | fromYaml -}}
{{- include "everleaf.metadata" (append . (include "everleaf.componentName" .)) }}
{{- with $values.deploymentAnnotations }}
annotations:
  {{- include "everleaf.strings" . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The timing of a probe. */}}
{{- define "everleaf.probe" -}}
initialDelaySeconds: {{ int .initialDelaySeconds }}
periodSeconds: {{ int .periodSeconds }}
timeoutSeconds: {{ int .timeoutSeconds }}
successThreshold: {{ int .successThreshold }}
failureThreshold: {{ int .failureThreshold }}
{{- end }}
