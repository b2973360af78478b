{{/* A ServiceAccount: (list $ COMPONENT VALUES). */}}
{{- define "everleaf.serviceAccount" -}}
{{- $root := index . 0 }}
{{- $values := index . 2 -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "everleaf.serviceAccountName" . }}
  namespace: {{ include "everleaf.namespace" $root }}
  labels:
    {{- include "everleaf.labelsWith" (list . $values.labels) | nindent 4 }}
  {{- with $values.annotations }}
  annotations:
    {{- range $key, $value := . }}
    {{- include "everleaf.strings" (dict $key (ternary (tpl (toString $value) $root) $value (kindIs "string" $value))) | nindent 4 }}
    {{- end }}
  {{- end }}
automountServiceAccountToken: {{ $values.automountServiceAccountToken }}
{{- with $root.Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A role of a component with its binding: (dict "root" $ "component" COMPONENT "kind"
     KIND "name" NAME "namespace" NAMESPACE "rules" RULES), where kind is Role or
     ClusterRole and rules is YAML; "label" is another component label, "annotations" are
     of both. */}}
{{- define "everleaf.role" -}}
{{- $labels := include "everleaf.labels" (list .root .component) | fromYaml }}
{{- with .label }}{{ $_ := set $labels "app.kubernetes.io/component" . }}{{ end }}
{{- $metadata := dict "name" .name "labels" $labels }}
{{- if eq .kind "Role" }}{{ $_ := set $metadata "namespace" .namespace }}{{ end }}
{{- with .annotations }}{{ $_ := set $metadata "annotations" (include "everleaf.strings" . | fromYaml) }}{{ end -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  {{- toYaml $metadata | nindent 2 }}
rules:
{{ .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  {{- toYaml $metadata | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
- kind: ServiceAccount
  name: {{ include "everleaf.serviceAccountName" (list .root .component) }}
  namespace: {{ include "everleaf.namespace" .root }}
{{- end }}

{{/* The named leases: (list $ NAMES). */}}
{{- define "everleaf.leaseRules" -}}
- apiGroups: ["coordination.k8s.io"]
  resources: ["leases"]
  resourceNames: {{ toJson (index . 1) }}
  verbs: ["get", "update", "patch"]
# What does not exist yet has no name in a rule.
- apiGroups: ["coordination.k8s.io"]
  resources: ["leases"]
  verbs: ["create"]
{{- if (index . 0).Values.everleaf.watchNamespace }}
# The event about a new leader is in the namespace of the lease.
{{ include "everleaf.eventRules" (index . 0) }}
{{- end }}
{{- end }}

{{/* The CA of a serving certificate, in the named Secrets. */}}
{{- define "everleaf.servingRules" -}}
- apiGroups: [""]
  resources: ["secrets"]
  resourceNames: {{ toJson . }}
  verbs: ["get", "list", "watch", "update"]
- apiGroups: [""]
  resources: ["secrets"]
  verbs: ["create"]
{{- end }}

{{/* The Secret of the CA that a component's config names: (list COMPONENT-VALUES BLOCK),
     where BLOCK is tlsConfig or metricsTLSConfig, as YAML with namespace and name. It
     is empty without a name or a namespace; each part of the config may be null. */}}
{{- define "everleaf.servingSecret" -}}
{{- $tls := get ((index . 0).config | default dict) (index . 1) | default dict }}
{{- with $tls.dynamic }}
{{- if and .secretName .secretNamespace }}
{{- dict "namespace" .secretNamespace "name" .secretName | toYaml }}
{{- end }}
{{- end }}
{{- end }}
