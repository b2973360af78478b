{{/* What each controller may do: no more than what it does. A status is written with
     update; finalizers are needed where the admission plugin
     OwnerReferencesPermissionEnforcement is on. Each template takes the root. */}}

{{- define "everleaf.eventRules" -}}
- apiGroups: [""]
  resources: ["events"]
  verbs: ["create", "patch"]
{{- end }}

{{/* The kinds of issuers that there are: without ClusterIssuers in a namespaced install. */}}
{{- define "everleaf.issuerKinds" -}}
{{- if .Values.everleaf.watchNamespace }}["issuers"]{{ else }}["issuers", "clusterissuers"]{{ end }}
{{- end }}

{{- define "everleaf.issuersRules" -}}
- apiGroups: ["cert-manager.io"]
  resources: ["issuers"]
  verbs: ["get", "list", "watch"]
- apiGroups: ["cert-manager.io"]
  resources: ["issuers/status"]
  verbs: ["update"]
# An ACME account has its key in a Secret that is created.
- apiGroups: [""]
  resources: ["secrets"]
  verbs: ["get", "list", "watch", "create"]
{{ include "everleaf.eventRules" . }}
{{- end }}

{{- define "everleaf.clusterissuersRules" -}}
- apiGroups: ["cert-manager.io"]
  resources: ["clusterissuers"]
  verbs: ["get", "list", "watch"]
- apiGroups: ["cert-manager.io"]
  resources: ["clusterissuers/status"]
  verbs: ["update"]
- apiGroups: [""]
  resources: ["secrets"]
  verbs: ["get", "list", "watch", "create"]
{{ include "everleaf.eventRules" . }}
{{- end }}

{{/* Certificates and CertificateRequests. */}}
{{- define "everleaf.certificatesRules" -}}
- apiGroups: ["cert-manager.io"]
  resources: ["certificates"]
  verbs: ["get", "list", "watch"]
- apiGroups: ["cert-manager.io"]
  resources: {{ include "everleaf.issuerKinds" . }}
  verbs: ["get", "list", "watch"]
- apiGroups: ["cert-manager.io"]
  resources: ["certificaterequests"]
  verbs: ["get", "list", "watch", "create", "patch", "delete"]
- apiGroups: ["cert-manager.io"]
  resources: ["certificates/status", "certificaterequests/status"]
  verbs: ["update"]
- apiGroups: ["cert-manager.io"]
  resources: ["certificates/finalizers", "certificaterequests/finalizers"]
  verbs: ["update"]
- apiGroups: ["acme.cert-manager.io"]
  resources: ["orders"]
  verbs: ["get", "list", "watch", "create", "delete"]
# update: the CA of the serving certificate for metrics, in a Secret that a flag names.
- apiGroups: [""]
  resources: ["secrets"]
  verbs: ["get", "list", "watch", "create", "update", "patch", "delete"]
{{ include "everleaf.eventRules" . }}
{{- end }}

{{- define "everleaf.ordersRules" -}}
- apiGroups: ["acme.cert-manager.io"]
  resources: ["orders"]
  verbs: ["get", "list", "watch", "patch"]
- apiGroups: ["acme.cert-manager.io"]
  resources: ["orders/status"]
  verbs: ["update"]
- apiGroups: ["acme.cert-manager.io"]
  resources: ["orders/finalizers"]
  verbs: ["update"]
- apiGroups: ["acme.cert-manager.io"]
  resources: ["challenges"]
  verbs: ["get", "list", "watch", "create", "delete"]
- apiGroups: ["cert-manager.io"]
  resources: ["certificates", "certificaterequests"]
  verbs: ["get", "list", "watch"]
- apiGroups: ["cert-manager.io"]
  resources: {{ include "everleaf.issuerKinds" . }}
  verbs: ["get", "list", "watch"]
- apiGroups: [""]
  resources: ["secrets"]
  verbs: ["get", "list", "watch"]
{{ include "everleaf.eventRules" . }}
{{- end }}

{{- define "everleaf.challengesRules" -}}
- apiGroups: ["acme.cert-manager.io"]
  resources: ["challenges"]
  verbs: ["get", "list", "watch", "patch"]
- apiGroups: ["acme.cert-manager.io"]
  resources: ["challenges/status"]
  verbs: ["update"]
- apiGroups: ["acme.cert-manager.io"]
  resources: ["orders"]
  verbs: ["get", "list", "watch"]
- apiGroups: ["cert-manager.io"]
  resources: ["certificaterequests"]
  verbs: ["get", "list", "watch"]
- apiGroups: ["cert-manager.io"]
  resources: {{ include "everleaf.issuerKinds" . }}
  verbs: ["get", "list", "watch"]
- apiGroups: [""]
  resources: ["secrets"]
  verbs: ["get", "list", "watch"]
{{ include "everleaf.eventRules" . }}
{{ include "everleaf.http01Rules" . }}
{{- if not .Values.everleaf.watchNamespace }}
# Which class is the default is said with a challenge that an Ingress without one waits for.
- apiGroups: ["networking.k8s.io"]
  resources: ["ingressclasses"]
  verbs: ["list"]
{{ include "everleaf.apiServiceRules" . }}
{{- end }}
{{- end }}

{{/* Certificates for Ingresses, and for the kinds of the Gateway API. */}}
{{- define "everleaf.ingress-shimRules" -}}
- apiGroups: ["networking.k8s.io"]
  resources: ["ingresses"]
  verbs: ["get", "list", "watch"]
- apiGroups: ["networking.k8s.io"]
  resources: ["ingresses/finalizers"]
  verbs: ["update"]
- apiGroups: ["gateway.networking.k8s.io"]
  resources: ["gateways", "listenersets", "httproutes"]
  verbs: ["get", "list", "watch"]
- apiGroups: ["gateway.networking.k8s.io"]
  resources: ["gateways/finalizers", "listenersets/finalizers", "httproutes/finalizers"]
  verbs: ["update"]
- apiGroups: ["cert-manager.io"]
  resources: ["certificates"]
  verbs: ["get", "list", "watch", "create", "patch", "delete"]
- apiGroups: ["cert-manager.io"]
  resources: {{ include "everleaf.issuerKinds" . }}
  verbs: ["get", "list", "watch"]
{{ include "everleaf.eventRules" . }}
{{- end }}

{{/* CertificateSigningRequests and PodCertificateRequests of Kubernetes, for feature gates. */}}
{{- define "everleaf.certificatesigningrequestsRules" -}}
- apiGroups: ["certificates.k8s.io"]
  resources: ["certificatesigningrequests"]
  verbs: ["get", "list", "watch", "update"]
- apiGroups: ["certificates.k8s.io"]
  resources: ["certificatesigningrequests/status"]
  verbs: ["update"]
- apiGroups: ["certificates.k8s.io"]
  resources: ["podcertificaterequests"]
  verbs: ["list", "watch"]
- apiGroups: ["certificates.k8s.io"]
  resources: ["podcertificaterequests/status"]
  verbs: ["update"]
- apiGroups: ["certificates.k8s.io"]
  resources: ["signers"]
  resourceNames: ["issuers.cert-manager.io/*", "clusterissuers.cert-manager.io/*"]
  verbs: ["sign"]
# Whoever makes a request must be allowed to use the Issuer.
- apiGroups: ["authorization.k8s.io"]
  resources: ["subjectaccessreviews"]
  verbs: ["create"]
{{- end }}

{{/* What routes an HTTP-01 request to whoever answers it. */}}
{{- define "everleaf.http01Rules" -}}
- apiGroups: [""]
  resources: ["pods", "services"]
  verbs: ["get", "list", "create", "update", "delete"]
- apiGroups: ["discovery.k8s.io"]
  resources: ["endpointslices"]
  verbs: ["get", "list", "watch", "create", "update", "delete"]
- apiGroups: ["networking.k8s.io"]
  resources: ["ingresses"]
  verbs: ["get", "list", "create", "update", "delete"]
- apiGroups: ["gateway.networking.k8s.io"]
  resources: ["httproutes"]
  verbs: ["get", "list", "create", "update", "delete"]
# Where a Gateway is served is said with a challenge that is not found there.
- apiGroups: ["gateway.networking.k8s.io"]
  resources: ["gateways"]
  verbs: ["get"]
# OpenShift asks for these where an Ingress names a host, and an EndpointSlice pods.
- apiGroups: ["route.openshift.io"]
  resources: ["routes/custom-host"]
  verbs: ["create"]
- apiGroups: ["discovery.k8s.io"]
  resources: ["endpointslices/restricted"]
  verbs: ["create"]
- apiGroups: ["acme.cert-manager.io"]
  resources: ["challenges/finalizers"]
  verbs: ["update"]
{{- end }}

{{/* Where the controllers answer HTTP-01 requests, the EndpointSlices of their Service say. */}}
{{- define "everleaf.respondersRules" -}}
- apiGroups: ["discovery.k8s.io"]
  resources: ["endpointslices"]
  verbs: ["list", "watch"]
{{- end }}

{{/* Why a solver webhook does not answer, its APIService says. */}}
{{- define "everleaf.apiServiceRules" -}}
- apiGroups: ["apiregistration.k8s.io"]
  resources: ["apiservices"]
  verbs: ["get"]
{{- end }}

{{/* TXT records that could not be removed are kept in this Secret. */}}
{{- define "everleaf.recordsRules" -}}
- apiGroups: [""]
  resources: ["secrets"]
  resourceNames: ["everleaf-records-left-behind"]
  verbs: ["get", "update", "delete"]
- apiGroups: [""]
  resources: ["secrets"]
  verbs: ["create"]
{{- end }}

{{- define "everleaf.approveRules" -}}
- apiGroups: ["cert-manager.io"]
  resources: ["signers"]
  verbs: ["approve"]
  {{- with .Values.approveSignerNames }}
  resourceNames:
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
