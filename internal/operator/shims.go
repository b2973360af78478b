package operator

import (
	"github.com/spf13/pflag"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/controller/ingress"
	"github.com/everleaf/everleaf/internal/controller/shim"
	core "github.com/everleaf/everleaf/internal/lifecycle/shim"
)

// ingressShim is cert-manager's controller that makes Certificates for Ingresses.
const ingressShim = "ingress-shim"

const flagDefaultIssuerKind = "default-issuer-kind"

// defaultShims are how Certificates are made without any flag.
func defaultShims() shim.Config {
	return shim.Config{Settings: core.Settings{
		DefaultIssuer:   cmmeta.IssuerReference{Kind: cmmeta.DefaultIssuerKind, Group: cmmeta.DefaultIssuerGroup},
		AutoAnnotations: []string{cmv1.IngressTLSACMEAnnotationKey},
	}}
}

// addShims adds the flags about the Certificates of Ingresses and Gateways.
func (o *Options) addShims(fs *pflag.FlagSet) {
	s := &o.Shims
	fs.StringSliceVar(&s.AutoAnnotations, "auto-certificate-annotations", s.AutoAnnotations, "annotations that, with the value true, ask for Certificates for an Ingress from the default issuer")
	fs.StringSliceVar(&s.ExtraAnnotations, "extra-certificate-annotations", s.ExtraAnnotations, "annotations to copy from Ingresses and Gateways to their Certificates")
	fs.StringVar(&s.DefaultIssuer.Name, "default-issuer-name", s.DefaultIssuer.Name, "issuer of Certificates for Ingresses that name none")
	fs.StringVar(&s.DefaultIssuer.Kind, flagDefaultIssuerKind, s.DefaultIssuer.Kind, "kind of the default issuer")
	fs.StringVar(&s.DefaultIssuer.Group, "default-issuer-group", s.DefaultIssuer.Group, "API group of the default issuer")
	fs.BoolVar(&s.MarkedIssuers, "default-issuer-by-annotation", s.MarkedIssuers, "without --default-issuer-name, the default issuer is the ClusterIssuer with the annotation "+core.DefaultIssuerAnnotation+"=true")
	fs.BoolVar(&s.OmitCovered, "omit-names-covered-by-wildcards", s.OmitCovered, "leave out of the Certificates for Ingresses and Gateways the names that a wildcard in the same Certificate covers; some CAs refuse both in one certificate")
}

func (o *Options) checkShims(bad component.Complaint) {
	if o.Shims.DefaultIssuer.Kind == "" {
		bad(flagDefaultIssuerKind, "must not be empty")
	}
}

func (s *system) shimDeps() shim.Deps {
	return shim.Deps{Cache: s.manager.GetCache(), Issuers: s.issuers, Server: s.server, Clock: s.clock}
}

func (s *system) newIngresses() (registrable, error) {
	return ingress.New(s.shimDeps(), s.options.Shims, s.metrics.Failed(ingressShim))
}
