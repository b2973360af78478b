package chart

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/controlplane"
)

const (
	namesImages = `WARNING: these values name images of cert-manager. The pods run /everleaf, which only
everleaf's image has. Remove them:
`
	namesVersions = `WARNING: the chart is for version v0.1.0 of everleaf's image, and these values name another
one. Remove them, unless it is an image of your own:
`
	noInjector = `WARNING: cainjector.enabled is false, so nothing writes the CA of the webhook into the webhook
configurations. Without it, the API server refuses to create and change Certificates, Issuers
and the like. Set everleaf.admission=policies (Kubernetes 1.36) to do without the webhook, or
write the CA yourself, now and each time it is replaced:
https://github.com/everleaf/everleaf/blob/main/docs/webhook.md#without-the-cainjector`
)

// TestNotes holds what people read after an installation: some lines, and all warnings.
func TestNotes(t *testing.T) {
	t.Parallel()
	cp := controlplane.Shared(t)
	for values, test := range map[string]struct {
		lines    []string
		warnings string
	}{
		"crds: {enabled: true}": {lines: []string{
			"everleaf v0.1.0 has been deployed successfully!", "kubectl get deployments --namespace cert-manager", "everleaf explain --all-namespaces",
			"Objects are checked by the webhook.",
		}},
		"everleaf: {admission: policies}": {lines: []string{
			"Objects are checked by admission policies; there is no webhook.", "The CustomResourceDefinitions are not part of this release",
		}},
		"installCRDs: true":               {warnings: "WARNING: `installCRDs` is deprecated, use `crds.enabled` instead."},
		"webhook: {image: {registry: r}}": {warnings: "WARNING: `webhook.image.registry` is deprecated, use `imageRegistry` or `webhook.image.repository` instead."},

		// Images of cert-manager.
		"image: {repository: quay.io/jetstack/cert-manager-controller}": {warnings: namesImages + "\n    image.repository: quay.io/jetstack/cert-manager-controller"},
		"{imageRegistry: quay.io, imageNamespace: jetstack, image: {name: cert-manager-controller}}": {warnings: namesImages + `
    image.name: cert-manager-controller
    imageNamespace: jetstack
    imageRegistry: quay.io`},
		"imageRegistry: quay.io":   {warnings: namesImages + "\n    imageRegistry: quay.io"},
		"imageNamespace: jetstack": {warnings: namesImages + "\n    imageNamespace: jetstack"},
		"{webhook: {image: {name: cert-manager-webhook}}, cainjector: {image: {repository: reg.corp/mirror/cert-manager-cainjector}}, acmesolver: {image: {name: cert-manager-acmesolver}}, startupapicheck: {image: {repository: rancher/mirrored-jetstack-cert-manager-ctl}}}": {warnings: namesImages + `
    acmesolver.image.name: cert-manager-acmesolver
    cainjector.image.repository: reg.corp/mirror/cert-manager-cainjector
    startupapicheck.image.repository: rancher/mirrored-jetstack-cert-manager-ctl
    webhook.image.name: cert-manager-webhook`},
		"image: {repository: docker.io/bitnami/cert-manager}": {warnings: namesImages + "\n    image.repository: docker.io/bitnami/cert-manager"},
		"image: {registry: quay.io, repository: jetstack/cert-manager-controller}": {
			warnings: "WARNING: `image.registry` is deprecated, use `imageRegistry` or `image.repository` instead.\n\n" + namesImages + `
    image.registry: quay.io
    image.repository: jetstack/cert-manager-controller`,
		},
		// Images of a registry of one's own, and of pods that there are not.
		"{imageRegistry: reg.corp, imageNamespace: cert-manager}":                                                      {},
		"{imageRegistry: quay.io, imageNamespace: team}":                                                               {},
		"image: {repository: reg.corp/everleaf-for-cert-manager}":                                                      {},
		"{everleaf: {admission: policies}, webhook: {image: {name: cert-manager-webhook}}}":                            {},
		"{startupapicheck: {enabled: false, image: {name: cert-manager-startupapicheck, tag: v1}}}":                    {},
		"{everleaf: {admission: policies}, cainjector: {enabled: false, image: {name: cert-manager-cainjector}}}":      {},
		"{image: {tag: v0.1.0}, webhook: {image: {tag: v0.1.0-debug}}, cainjector: {image: {tag: v0.1.0, digest: a}}}": {},

		// Versions of cert-manager.
		`{image: {tag: v1.14.0}, webhook: {image: {digest: "sha256:abc"}}, cainjector: {image: {tag: 1.14, digest: "sha256:def"}}, acmesolver: {image: {tag: v1.14.0}}, startupapicheck: {image: {tag: 2}}}`: {
			warnings: namesVersions + `
    acmesolver.image.tag: v1.14.0
    cainjector.image.digest: sha256:def
    cainjector.image.tag: 1.14
    image.tag: v1.14.0
    startupapicheck.image.tag: 2
    webhook.image.digest: sha256:abc`,
		},
		"image: {repository: quay.io/jetstack/cert-manager-controller, tag: v1.14.0}": {
			warnings: namesImages + "\n    image.repository: quay.io/jetstack/cert-manager-controller\n\n" + namesVersions + "\n    image.tag: v1.14.0",
		},

		// Who writes the CA of the webhook.
		"cainjector: {enabled: false}":                                    {warnings: noInjector},
		"{cainjector: {enabled: false}, everleaf: {admission: policies}}": {},
		"{cainjector: {enabled: false}, webhook: {config: {tlsConfig: {filesystem: {certFile: /tls/tls.crt, keyFile: /tls/tls.key}}}}}":    {},
		"{cainjector: {enabled: false}, webhook: {extraArgs: [--v=3, --tls-cert-file=/tls/tls.crt, --tls-private-key-file=/tls/tls.key]}}": {},
	} {
		t.Run(values, func(t *testing.T) {
			t.Parallel()
			notes := notesOf(t, cp, values)
			for _, line := range test.lines {
				if !strings.Contains(notes, line) {
					t.Errorf("%q is not in:\n%s", line, notes)
				}
			}
			warnings := ""
			if i := strings.Index(notes, "WARNING"); i >= 0 {
				warnings = strings.TrimSpace(notes[i:])
			}
			if diff := cmp.Diff(test.warnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("the version of the API server", func(t *testing.T) {
		t.Parallel()
		const want = "WARNING: `global.podSecurityPolicy.enabled` has no effect: Kubernetes v1."
		if notes := notesOf(t, cp, "global: {podSecurityPolicy: {enabled: true}}"); !strings.Contains(notes, want) {
			t.Errorf("%q is not in:\n%s", want, notes)
		}
	})
}

// notesOf returns the notes of an installation with values.
func notesOf(t *testing.T, cp *local.ControlPlane, values string) string {
	t.Helper()
	cmd := exec.Command(program(t, "helm"), "install", "cert-manager", chart, "--namespace", "cert-manager", "--dry-run=client", "--take-ownership", "--values", "-", "--kubeconfig", cp.KubeconfigPath())
	cmd.Stdin = strings.NewReader(values)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, notes, _ := strings.Cut(string(out), "\nNOTES:\n")
	return notes
}
