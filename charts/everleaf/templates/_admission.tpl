{{/* "true" if the API server has MutatingAdmissionPolicies of v1 (Kubernetes 1.36). Helm
     knows the kinds of a cluster that it asks; `helm template` knows only versions, and
     what --api-versions adds. */}}
{{- define "everleaf.hasPolicies" -}}
{{- if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" }}true
{{- else if and (not (.Capabilities.APIVersions.Has "v1/Pod")) (semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version) }}true
{{- end }}
{{- end }}

{{/* How objects are admitted: webhook or policies. */}}
{{- define "everleaf.admission" -}}
{{- $wanted := .Values.everleaf.admission }}
{{- $can := eq (include "everleaf.hasPolicies" .) "true" }}
{{- if eq $wanted "webhook" }}webhook
{{- else if and (eq $wanted "auto") (or (not $can) (eq (include "everleaf.onlyWebhook" .) "true")) }}webhook
{{- else if $can }}policies
{{- else }}
{{- fail (printf "ERROR: everleaf.admission=policies needs an API server that has admissionregistration.k8s.io/v1 MutatingAdmissionPolicy (Kubernetes 1.36), and this one (%s) does not: set everleaf.admission=webhook, or auto for whichever the API server has. helm template knows the API server only by --kube-version and --api-versions" .Capabilities.KubeVersion.Version) }}
{{- end }}
{{- end }}

{{/* "true" if the release that is upgraded has a webhook and no policies yet. helm template
     and a dry run do not look. */}}
{{- define "everleaf.onlyWebhook" -}}
{{- if .Release.IsUpgrade }}
{{- $group := "admissionregistration.k8s.io/v1" }}
{{- $webhook := lookup $group "ValidatingWebhookConfiguration" "" (include "everleaf.componentName" (list $ "webhook")) }}
{{- if and $webhook (not (lookup $group "ValidatingAdmissionPolicy" "" "certificates.cert-manager.io")) }}true{{ end }}
{{- end }}
{{- end }}

{{/* "true" if policies take the place of a webhook in this upgrade. The API server begins to
     apply them a moment later, so the webhook stays until the next upgrade, and stops
     nothing when Helm removes it then. */}}
{{- define "everleaf.webhookLeaves" -}}
{{- if eq (include "everleaf.admission" .) "policies" }}{{ include "everleaf.onlyWebhook" . }}{{ end }}
{{- end }}

{{/* "true" if there is a webhook. */}}
{{- define "everleaf.hasWebhook" -}}
{{- if or (eq (include "everleaf.admission" .) "webhook") (eq (include "everleaf.webhookLeaves" .) "true") }}true{{ end }}
{{- end }}

{{/* The webhook configurations leave out the controller (Kubernetes 1.28): (list $ EXCEPT),
     where EXCEPT is CEL for what they look at all the same, or empty. */}}
{{- define "everleaf.matchConditions" -}}
{{- $root := index . 0 }}
{{- if semverCompare ">=1.28.0-0" $root.Capabilities.KubeVersion.Version -}}
matchConditions:
- name: is-not-the-controller
  expression: request.userInfo.username != 'system:serviceaccount:{{ include "everleaf.namespace" $root }}:{{ include "everleaf.serviceAccountName" (list $root "controller") }}'{{ with index . 1 }} || {{ . }}{{ end }}
{{- end }}
{{- end }}

{{/* Where the API server finds the webhook: (list $ PATH). No caBundle: the cainjector
     owns it. */}}
{{- define "everleaf.webhookClient" -}}
{{- $root := index . 0 -}}
clientConfig:
{{- if $root.Values.webhook.url.host }}
  url: https://{{ $root.Values.webhook.url.host }}{{ index . 1 }}
{{- else }}
  service:
    name: {{ include "everleaf.componentName" (list $root "webhook") }}
    namespace: {{ include "everleaf.namespace" $root }}
    path: {{ index . 1 }}
    port: 443
{{- end }}
{{- end }}

{{/* The annotations of a webhook configuration: (list $ ANNOTATIONS). Without one of the
     user that says where the cainjector takes the CA, it is the CA of the webhook's
     serving certificate; a certificate from files may have any CA. */}}
{{- define "everleaf.injection" -}}
{{- $root := index . 0 }}
{{- $annotations := deepCopy (index . 1 | default dict) }}
{{- $tls := ($root.Values.webhook.config | default dict).tlsConfig | default dict }}
{{- $user := false }}
{{- range $source := list "inject-ca-from" "inject-ca-from-secret" "inject-apiserver-ca" }}
{{- if hasKey $annotations (print "cert-manager.io/" $source) }}{{ $user = true }}{{ end }}
{{- end }}
{{- if not (or $user $tls.filesystem) }}
{{- $dynamic := $tls.dynamic | default dict }}
{{- $namespace := default (include "everleaf.namespace" $root) $dynamic.secretNamespace }}
{{- $name := default (print (include "everleaf.componentName" (list $root "webhook")) "-ca") $dynamic.secretName }}
{{- $_ := set $annotations "cert-manager.io/inject-ca-from-secret" (print $namespace "/" $name) }}
{{- end }}
{{- include "everleaf.strings" $annotations }}
{{- end }}
