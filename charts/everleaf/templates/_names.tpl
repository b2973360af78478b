{{/* Names and labels. They are those of cert-manager's chart: selectors cannot change
     in an upgrade, and dashboards and network policies select by them. A component is
     controller, webhook, cainjector or startupapicheck; helpers that need one take
     (list $ COMPONENT). */}}

{{- define "everleaf.name" -}}
{{- default "cert-manager" .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of the controller's objects, and the beginning of all other names. */}}
{{- define "everleaf.fullname" -}}
{{- $name := include "everleaf.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "everleaf.componentName" -}}
{{- $fullname := include "everleaf.fullname" (index . 0) }}
{{- $component := index . 1 }}
{{- if eq $component "controller" }}
{{- $fullname }}
{{- else if eq $component "webhook" }}
{{- printf "%s-webhook" ($fullname | trunc 55 | trimSuffix "-") }}
{{- else }}
{{- printf "%s-%s" ($fullname | trunc 52 | trimSuffix "-") $component }}
{{- end }}
{{- end }}

{{- define "everleaf.namespace" -}}
{{- default .Release.Namespace .Values.namespace }}
{{- end }}

{{/* The labels app and app.kubernetes.io/name. */}}
{{- define "everleaf.nameLabel" -}}
{{- $component := index . 1 }}
{{- if has $component (list "webhook" "cainjector" "startupapicheck") }}{{ $component }}{{ else }}{{ include "everleaf.name" (index . 0) }}{{ end }}
{{- end }}

{{/* A value as text. --set and YAML make numbers of what must be a string, such as the
     number of an account or the tag of an image; an integer has no exponent. */}}
{{- define "everleaf.text" -}}
{{- if and (kindIs "float64" .) (eq (toString .) (toString (float64 (int64 .)))) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* Labels, annotations or the like, whose keys and values are strings, also where YAML
     has another meaning for them, such as for n and 1. */}}
{{- define "everleaf.strings" -}}
{{- $lines := list }}
{{- range $key, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{- $lines = append $lines (printf "%s: %s" (toYaml $key) (include "everleaf.text" $value | quote)) }}
{{- end }}
{{- end }}
{{- join "\n" $lines }}
{{- end }}

{{- define "everleaf.selectorLabels" -}}
app.kubernetes.io/name: {{ include "everleaf.nameLabel" . | quote }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 | quote }}
{{- end }}

{{- define "everleaf.chartLabel" -}}
{{- printf "cert-manager-%s" .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The labels of every object but network policies. A common label does not replace one
     that tools read. */}}
{{- define "everleaf.labels" -}}
{{- $root := index . 0 }}
{{- $labels := merge (dict "app" (include "everleaf.nameLabel" .) "app.kubernetes.io/version" $root.Chart.AppVersion) (include "everleaf.selectorLabels" . | fromYaml) }}
{{- if eq $root.Values.creator "helm" }}
{{- $labels = merge $labels (dict "app.kubernetes.io/managed-by" $root.Release.Service "helm.sh/chart" (include "everleaf.chartLabel" $root)) }}
{{- end }}
{{- include "everleaf.strings" (merge $labels ($root.Values.global.commonLabels | default dict)) }}
{{- end }}

{{/* The labels of an object with those that the user gives it: (list (list $ COMPONENT)
     LABELS). The user's win, except over those that selectors name. */}}
{{- define "everleaf.labelsWith" -}}
{{- $of := index . 0 }}
{{- include "everleaf.strings" (merge (include "everleaf.selectorLabels" $of | fromYaml) (index . 1 | default dict) (include "everleaf.labels" $of | fromYaml)) }}
{{- end }}

{{/* The values of a component: (list $ COMPONENT), as YAML. */}}
{{- define "everleaf.componentValues" -}}
{{- $root := index . 0 }}
{{- if eq (index . 1) "controller" }}{{ toYaml $root.Values }}{{ else }}{{ toYaml (get $root.Values (index . 1)) }}{{ end }}
{{- end }}

{{- define "everleaf.serviceAccountName" -}}
{{- $values := include "everleaf.componentValues" . | fromYaml }}
{{- $default := ternary (include "everleaf.componentName" .) "default" $values.serviceAccount.create }}
{{- default $default $values.serviceAccount.name }}
{{- end }}

{{/* Where the Secrets of ClusterIssuers are. */}}
{{- define "everleaf.clusterResourceNamespace" -}}
{{- default (include "everleaf.namespace" .) .Values.clusterResourceNamespace }}
{{- end }}

{{/* Metadata of an object: (list $ COMPONENT NAME). */}}
{{- define "everleaf.metadata" -}}
name: {{ index . 2 }}
namespace: {{ include "everleaf.namespace" (index . 0) }}
labels:
  {{- include "everleaf.labels" . | nindent 2 }}
{{- end }}

{{- define "everleaf.clusterMetadata" -}}
name: {{ index . 2 }}
labels:
  {{- include "everleaf.labels" . | nindent 2 }}
{{- end }}

{{/* "true" where a Service with the port of the metrics is wanted. */}}
{{- define "everleaf.metricsServices" -}}
{{- if and .Values.prometheus.enabled (not .Values.prometheus.podmonitor.enabled) }}true{{ end }}
{{- end }}
