{{/* What the notes warn about: values that were made for cert-manager's chart. */}}

{{/* The values of the images that are in use, as YAML, by their place in the values. */}}
{{- define "everleaf.images" -}}
{{- $images := dict "image" .Values.image "acmesolver.image" .Values.acmesolver.image }}
{{- if eq (include "everleaf.hasWebhook" .) "true" }}{{ $_ := set $images "webhook.image" .Values.webhook.image }}{{ end }}
{{- range $component := list "cainjector" "startupapicheck" }}
{{- $values := get $.Values $component }}
{{- if $values.enabled }}{{ $_ := set $images (print $component ".image") $values.image }}{{ end }}
{{- end }}
{{- toYaml $images }}
{{- end }}

{{/* The values that make the name of an image look like one of cert-manager's: of
     quay.io/jetstack, of a mirror of that, or with cert-manager in the last part of the name.
     A directory of a registry may well be called cert-manager. quay.io with everything else
     by default is cert-manager's registry, too. */}}
{{- define "everleaf.foreignImages" -}}
{{- $found := dict }}
{{- range $key, $image := include "everleaf.images" . | fromYaml }}
{{- $name := include "everleaf.imageName" (list $ $image) }}
{{- $last := and (regexMatch "cert-manager[^/]*$" $name) (not (contains "everleaf" (base $name))) }}
{{- if or $last (contains "jetstack" $name) (eq $name "quay.io/everleaf/everleaf") }}
{{- $parts := dict (print $key ".registry") $image.registry }}
{{- $final := print $key ".name" }}
{{- if $image.repository }}
{{- $final = print $key ".repository" }}
{{- else }}
{{- $parts = merge $parts (dict "imageRegistry" $.Values.imageRegistry "imageNamespace" $.Values.imageNamespace) }}
{{- end }}
{{- $_ := set $parts $final (default $image.name $image.repository) }}
{{- range $place, $value := $parts }}
{{- $value = default "" $value }}
{{- if or (regexMatch "jetstack|^quay\\.io(/|$)" $value) (and $last (eq $place $final)) }}{{ $_ := set $found $place $value }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- include "everleaf.placed" $found }}
{{- end }}

{{/* The tags and digests that are not of this version. A tag may have a suffix, such as
     that of a build. A digest does not show its version; the tag beside it does. */}}
{{- define "everleaf.foreignVersions" -}}
{{- $found := dict }}
{{- range $key, $image := include "everleaf.images" . | fromYaml }}
{{- $tag := include "everleaf.text" (default "" $image.tag) }}
{{- $own := or (eq $tag $.Chart.AppVersion) (hasPrefix (print $.Chart.AppVersion "-") $tag) }}
{{- if not $own }}
{{- range $part := list "tag" "digest" }}
{{- with get $image $part }}{{ $_ := set $found (print $key "." $part) (include "everleaf.text" .) }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- include "everleaf.placed" $found }}
{{- end }}

{{/* One line for each value, by its place. */}}
{{- define "everleaf.placed" -}}
{{- range $place, $value := . }}
    {{ $place }}: {{ $value }}
{{- end }}
{{- end }}

{{/* "true" if the webhook's certificate is from files, of a CA that the user knows. */}}
{{- define "everleaf.webhookHasFiles" -}}
{{- $tls := (.Values.webhook.config | default dict).tlsConfig | default dict }}
{{- if or $tls.filesystem (regexMatch "(^|\n)--tls-cert-file" (join "\n" .Values.webhook.extraArgs)) }}true{{ end }}
{{- end }}
