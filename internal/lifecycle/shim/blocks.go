package shim

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// secret is a Secret that an object asks for, with the names that its certificate
// is to have.
type secret struct {
	name  string
	hosts []string
}

// secrets are in the order in which they are asked for, each name once.
type secrets []secret

func (s *secrets) add(name string, hosts ...string) {
	i := slices.IndexFunc(*s, func(one secret) bool { return one.name == name })
	if i < 0 {
		i = len(*s)
		*s = append(*s, secret{name: name})
	}
	for _, host := range hosts {
		if !slices.Contains((*s)[i].hosts, host) {
			(*s)[i].hosts = append((*s)[i].hosts, host)
		}
	}
}

// ofIngress are the Secrets of an Ingress, and why entries are skipped. If a
// Secret has several entries, nothing is to be done for the Ingress: conflict
// says so.
func ofIngress(o Object) (wanted secrets, skipped []string, conflict string) {
	path := field.NewPath("spec", "tls")
	first := map[string]int{}
	var conflicts field.ErrorList
	for i, entry := range o.TLS {
		name := path.Index(i).Child("secretName")
		if at, known := first[entry.SecretName]; known {
			conflicts = append(conflicts, field.Invalid(path.Index(at).Child("secretName"), entry.SecretName,
				"this secret name must only appear in a single TLS entry but is also used in "+name.String()))
			continue
		}
		first[entry.SecretName] = i
		var errs field.ErrorList
		if len(entry.Hosts) == 0 {
			errs = append(errs, field.Required(path.Index(i).Child("hosts"), ""))
		}
		if entry.SecretName == "" {
			errs = append(errs, field.Required(name, ""))
		}
		if len(errs) > 0 {
			skipped = append(skipped, "Skipped a TLS block: "+errs.ToAggregate().Error())
			continue
		}
		wanted.add(entry.SecretName, entry.Hosts...)
	}
	if len(conflicts) > 0 {
		return nil, nil, conflicts.ToAggregate().Error()
	}
	return wanted, skipped, ""
}

// ofHostnames is the Secret of an HTTPRoute, and why there is none.
func ofHostnames(o Object) (wanted secrets, skipped []string) {
	for _, entry := range o.TLS {
		if len(entry.Hosts) == 0 {
			return nil, []string{"The HTTPRoute gets no Certificate: " + field.Required(field.NewPath("spec", "hostnames"), "").Error()}
		}
		wanted.add(entry.SecretName, entry.Hosts...)
	}
	return wanted, nil
}

// ofListeners are the Secrets of a Gateway or a ListenerSet, and why listeners are skipped.
func ofListeners(o Object, s Settings) (wanted secrets, skipped []string) {
	left := list(o.Annotations[cmv1.IgnoreTLSListenersAnnotationKey])
	for i, l := range o.Listeners {
		if !needsCertificate(l, s) || slices.Contains(left, string(l.Name)) {
			continue
		}
		if errs := checkListener(field.NewPath("spec", "listeners").Index(i), l, o.Namespace); len(errs) > 0 {
			skipped = append(skipped, "Skipped a listener block: "+errs.ToAggregate().Error())
			continue
		}
		for _, ref := range l.TLS.CertificateRefs {
			wanted.add(string(ref.Name), string(*l.Hostname))
		}
	}
	return wanted, skipped
}

// needsCertificate reports whether the Gateway ends the TLS of a listener's connections.
func needsCertificate(l Listener, s Settings) bool {
	encrypted := l.Protocol == gwapi.HTTPSProtocolType || l.Protocol == gwapi.TLSProtocolType || slices.Contains(s.ExtraProtocols, string(l.Protocol))
	passed := l.TLS != nil && l.TLS.Mode != nil && *l.TLS.Mode == gwapi.TLSModePassthrough
	return encrypted && !passed
}

// checkListener returns why no Certificate is made for a listener.
func checkListener(path *field.Path, l Listener, namespace string) field.ErrorList {
	var errs field.ErrorList
	if l.Hostname == nil || *l.Hostname == "" {
		errs = append(errs, field.Required(path.Child("hostname"), "the hostname cannot be empty"))
	}
	tls := path.Child("tls")
	if l.TLS == nil {
		return append(errs, field.Required(tls, "the TLS block cannot be empty"))
	}
	refs := tls.Child("certificateRef")
	if len(l.TLS.CertificateRefs) == 0 {
		errs = append(errs, field.Required(refs, "listener has no certificateRefs"))
	}
	for j, ref := range l.TLS.CertificateRefs {
		if ref.Group != nil && *ref.Group != "" && *ref.Group != "core" {
			errs = append(errs, field.NotSupported(refs.Index(j).Child("group"), *ref.Group, []string{"core", ""}))
		}
		if ref.Kind != nil && *ref.Kind != "" && *ref.Kind != "Secret" {
			errs = append(errs, field.NotSupported(refs.Index(j).Child("kind"), *ref.Kind, []string{"Secret", ""}))
		}
		if ref.Namespace != nil && string(*ref.Namespace) != namespace {
			errs = append(errs, field.Invalid(refs.Index(j).Child("namespace"), string(*ref.Namespace),
				"cross-namespace secret references are not allowed in listeners"))
		}
	}
	switch mode := l.TLS.Mode; {
	case mode == nil:
		errs = append(errs, field.Required(tls.Child("mode"), "the mode field is required"))
	case *mode != gwapi.TLSModeTerminate:
		errs = append(errs, field.NotSupported(tls.Child("mode"), *mode, []string{string(gwapi.TLSModeTerminate)}))
	}
	return errs
}

// withoutCovered leaves out the DNS names that a wildcard among them covers, except one.
func withoutCovered(names []string, except string) []string {
	wildcards := map[string]bool{}
	for _, name := range names {
		if strings.HasPrefix(name, "*.") {
			wildcards[strings.ToLower(name[1:])] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		dot := strings.Index(name, ".")
		return dot > 0 && name[:dot] != "*" && name != except && wildcards[strings.ToLower(name[dot:])]
	})
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
