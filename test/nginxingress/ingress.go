package nginxingress

import (
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// annotationClass is the annotation that was before spec.ingressClassName, and is preferred
// to it.
const annotationClass = "kubernetes.io/ingress.class"

// serves reports whether an Ingress is of the controller's class.
func (o Options) serves(ing *networkingv1.Ingress) bool {
	if class, ok := ing.Annotations[annotationClass]; ok {
		return class == o.Class
	}
	if ing.Spec.IngressClassName != nil {
		return *ing.Spec.IngressClassName == o.Class
	}
	return o.Default
}

// addIngress adds what an Ingress says to the sites.
func (s *snapshot) addIngress(all sites, ing *networkingv1.Ingress, f Faults) {
	base := location{
		http: !f.OnlyHTTPS || ing.Annotations[annotationEntryPoints] == "web", https: true,
		tls: ing.Annotations[annotationProtocol] == "HTTPS", host: ing.Annotations[annotationHost],
		auth: ing.Annotations[annotationAuth] == "basic", toHTTPS: ing.Annotations[annotationSSLRedirect] == "true",
		redirect: ing.Annotations[annotationRedirect],
	}
	if f.Host != "" {
		base.host = f.Host
	}
	if ing.Annotations[annotationVerifyClient] == "on" {
		base.status = 403
	}
	if ing.Spec.DefaultBackend != nil {
		l := base
		l.path, l.kind, l.backends = "/", networkingv1.PathTypePrefix, s.backendsOf(ing, *ing.Spec.DefaultBackend)
		all.at("").add(l)
	}
	for _, rule := range ing.Spec.Rules {
		site := all.at(rule.Host)
		if rule.HTTP == nil {
			continue
		}
		for _, path := range rule.HTTP.Paths {
			l := base
			l.path, l.kind, l.backends = path.Path, networkingv1.PathTypeImplementationSpecific, s.backendsOf(ing, path.Backend)
			if path.PathType != nil {
				l.kind = *path.PathType
			}
			if l.path == "" {
				l.path = "/"
			}
			if l.kind != networkingv1.PathTypeExact || !f.SkipExact {
				site.add(l)
			}
		}
	}
	for _, entry := range ing.Spec.TLS {
		key := client.ObjectKey{Namespace: ing.Namespace, Name: entry.SecretName}
		for _, host := range entry.Hosts {
			if site := all.at(host); site.certificate == "" && s.pairs[key] != nil {
				site.certificate = pairFile(key)
			}
		}
	}
}

func (s *snapshot) backendsOf(ing *networkingv1.Ingress, b networkingv1.IngressBackend) []string {
	if b.Service == nil {
		return nil
	}
	return s.backends(client.ObjectKey{Namespace: ing.Namespace, Name: b.Service.Name}, b.Service.Port.Number, b.Service.Port.Name)
}
