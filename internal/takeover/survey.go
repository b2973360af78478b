package takeover

import (
	"context"
	"fmt"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
	"github.com/everleaf/everleaf/internal/pki"
)

// page is how many objects one answer of the API server has at most.
const page = 500

// Survey reads what decides, in one namespace or, if it is empty, in all. ClusterIssuers
// always count, and so do requests to them. Kinds of the Gateway API need not be installed. An error names the kind that cannot be read.
func Survey(ctx context.Context, reader client.Reader, namespace string) (Cluster, error) {
	c := Cluster{Requests: map[types.UID][]*facts.Request{}, Secrets: map[types.NamespacedName]*facts.Secret{}}
	within := client.InNamespace(namespace)
	for _, one := range []struct {
		what string
		list func() client.ObjectList
		by   []client.ListOption
		// optional kinds need not be installed.
		optional bool
	}{
		{"ClusterIssuers", func() client.ObjectList { return &cmv1.ClusterIssuerList{} }, nil, false},
		{"Issuers", func() client.ObjectList { return &cmv1.IssuerList{} }, []client.ListOption{within}, false},
		{"Certificates", func() client.ObjectList { return &cmv1.CertificateList{} }, []client.ListOption{within}, false},
		{"CertificateRequests", func() client.ObjectList { return &cmv1.CertificateRequestList{} }, []client.ListOption{within}, false},
		{"Ingresses", func() client.ObjectList { return &networkingv1.IngressList{} }, []client.ListOption{within}, false},
		{"Gateways", func() client.ObjectList { return &gwapi.GatewayList{} }, []client.ListOption{within}, true},
		{"ListenerSets", func() client.ObjectList { return &gwapi.ListenerSetList{} }, []client.ListOption{within}, true},
		{"CertificateSigningRequests", func() client.ObjectList { return &certificatesv1.CertificateSigningRequestList{} }, nil, false},
		// No Certificate need name these yet.
		{
			"Secrets with a next private key", func() client.ObjectList { return &corev1.SecretList{} },
			[]client.ListOption{within, client.MatchingLabels{cmv1.IsNextPrivateKeySecretLabelKey: "true"}},
			false,
		},
	} {
		err := c.addAll(ctx, reader, one.list, one.by)
		if one.optional && (meta.IsNoMatchError(err) || apierrors.IsNotFound(err)) {
			continue
		}
		if err != nil {
			return c, fmt.Errorf("read the %s: %w", one.what, err)
		}
	}
	if namespace != "" {
		c.SigningRequests = slices.DeleteFunc(c.SigningRequests, func(r certificatesv1.CertificateSigningRequest) bool {
			signer, _ := signingrequest.SignerOf(r.Spec.SignerName)
			return signer.Kind == cmv1.IssuerKind && signer.Namespace != namespace
		})
	}
	for i := range c.Certificates {
		crt := &c.Certificates[i]
		key := types.NamespacedName{Namespace: crt.Namespace, Name: crt.Spec.SecretName}
		if c.Secrets[key] != nil || key.Name == "" {
			continue
		}
		secret := &corev1.Secret{}
		switch err := reader.Get(ctx, key, secret); {
		case apierrors.IsNotFound(err):
		case err != nil:
			return c, fmt.Errorf("read Secret %s of Certificate %s/%s: %w", key, crt.Namespace, crt.Name, err)
		default:
			c.add(secret)
		}
	}
	return c, nil
}

// addAll adds all objects of a list, page by page.
func (c *Cluster) addAll(ctx context.Context, reader client.Reader, empty func() client.ObjectList, by []client.ListOption) error {
	for next := ""; ; {
		list := empty()
		if err := reader.List(ctx, list, append(by, client.Limit(page), client.Continue(next))...); err != nil {
			return err
		}
		err := meta.EachListItem(list, func(o runtime.Object) error {
			c.add(o)
			return nil
		})
		if next = list.GetContinue(); err != nil || next == "" {
			return err
		}
	}
}

func (c *Cluster) add(o runtime.Object) {
	switch o := o.(type) {
	case *cmv1.ClusterIssuer:
		c.ClusterIssuers = append(c.ClusterIssuers, *o)
	case *cmv1.Issuer:
		c.Issuers = append(c.Issuers, *o)
	case *cmv1.Certificate:
		c.Certificates = append(c.Certificates, *o)
	case *cmv1.CertificateRequest:
		if owner := metav1.GetControllerOf(o); owner != nil {
			c.Requests[owner.UID] = append(c.Requests[owner.UID], facts.OfRequest(o, pki.Limits{}))
		}
	case *networkingv1.Ingress:
		c.Ingresses = append(c.Ingresses, *o)
	case *gwapi.Gateway:
		c.Gateways = append(c.Gateways, *o)
	case *gwapi.ListenerSet:
		c.ListenerSets = append(c.ListenerSets, *o)
	case *certificatesv1.CertificateSigningRequest:
		c.SigningRequests = append(c.SigningRequests, *o)
	case *corev1.Secret:
		c.Secrets[types.NamespacedName{Namespace: o.Namespace, Name: o.Name}] = facts.OfSecret(o, pki.Limits{})
	}
}
