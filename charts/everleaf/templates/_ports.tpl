{{/* The ports of the processes, as their flags say: the last one in the extraArgs wins, then
     the configuration file, then the default. Each template gives nothing if there is no
     such port, and names of ports never change, so that Services, monitors, probes and
     network policies follow. */}}

{{/* The value of a flag: (dict "values" COMPONENT-VALUES "flag" FLAG "field" FIELD), where
     FIELD is that of the configuration file. */}}
{{- define "everleaf.flagValue" -}}
{{- $value := get (.values.config | default dict) .field }}
{{- $flag := print "--" .flag }}
{{- $isNext := false }}
{{- range $arg := .values.extraArgs }}
{{- $arg = toString $arg }}
{{- if $isNext }}
{{- $value = $arg }}
{{- $isNext = false }}
{{- else if eq $arg $flag }}
{{- $isNext = true }}
{{- else if hasPrefix (print $flag "=") $arg }}
{{- $value = trimPrefix (print $flag "=") $arg }}
{{- end }}
{{- end }}
{{- if include "everleaf.isSet" $value }}{{ include "everleaf.text" $value }}{{ end }}
{{- end }}

{{/* The port that a flag sets: (dict "values" COMPONENT-VALUES "flag" FLAG "field" FIELD
     "default" PORT), where FIELD is that of the configuration file. The value is a port or
     an address that ends with one; 0 stands for none. */}}
{{- define "everleaf.port" -}}
{{- $address := include "everleaf.flagValue" . }}
{{- $port := print .default }}
{{- if include "everleaf.isSet" $address }}
{{- /* Ports that only the pod knows, such as $(PORT), are taken for the default. */}}
{{- $port = default $port (regexFind "[0-9]+$" $address) }}
{{- end }}
{{- $port = regexReplaceAll "^0+" $port "" }}
{{- $port }}
{{- end }}

{{/* The port of the metrics: (list $ COMPONENT). Only the controller has one without
     prometheus.enabled. */}}
{{- define "everleaf.metricsPort" -}}
{{- if or (index . 0).Values.prometheus.enabled (eq (index . 1) "controller") }}
{{- include "everleaf.port" (dict "values" (include "everleaf.componentValues" . | fromYaml) "flag" "metrics-listen-address" "field" "metricsListenAddress" "default" 9402) }}
{{- end }}
{{- end }}

{{/* The port of the metrics as a port of a container: (list $ COMPONENT). */}}
{{- define "everleaf.metricsContainerPort" -}}
{{- with include "everleaf.metricsPort" . -}}
- name: http-metrics
  containerPort: {{ . }}
  protocol: TCP
{{- end }}
{{- end }}

{{/* The port of the controller's liveness probe. */}}
{{- define "everleaf.livePort" -}}
{{- include "everleaf.port" (dict "values" .Values "flag" "internal-healthz-listen-address" "field" "healthzListenAddress" "default" 9403) }}
{{- end }}

{{/* The port at which the controllers answer HTTP-01 requests. */}}
{{- define "everleaf.responderPort" -}}
{{- $values := dict "config" ((.Values.config | default dict).acmeHTTP01Config | default dict) "extraArgs" .Values.extraArgs }}
{{- $mode := default (include "everleaf.flagValue" (dict "values" $values "flag" "acme-http01-solver-mode" "field" "solverMode")) .Values.acmesolver.mode }}
{{- if ne $mode "pod" }}
{{- include "everleaf.port" (dict "values" $values "flag" "acme-http01-responder-listen-address" "field" "responderListenAddress" "default" 8089) }}
{{- end }}
{{- end }}

{{/* The port of the webhook's probes. */}}
{{- define "everleaf.webhookProbePort" -}}
{{- include "everleaf.port" (dict "values" .Values.webhook "flag" "healthz-port" "field" "healthzPort" "default" 6080) }}
{{- end }}

{{/* The port at which the API server asks the webhook. The chart gives the flag if the
     configuration file has no port. */}}
{{- define "everleaf.webhookPort" -}}
{{- $values := deepCopy .Values.webhook }}
{{- if not ($values.config | default dict).securePort }}{{ $_ := unset $values "config" }}{{ end }}
{{- include "everleaf.port" (dict "values" $values "flag" "secure-port" "field" "securePort" "default" (default 6443 .Values.webhook.securePort)) }}
{{- end }}
