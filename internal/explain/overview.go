package explain

import (
	"cmp"
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/diagnosis"
)

// inventory is what decides about the Certificates of a namespace, or of all.
type inventory struct {
	certificates []cmv1.Certificate
	requests     map[types.UID][]cmv1.CertificateRequest
	orders       map[types.UID][]acmev1.Order
	challenges   map[types.UID][]acmev1.Challenge
	issuers      map[diagnosis.Ref]*diagnosis.Issuer
	// unread are the kinds of issuers that may not be read.
	unread map[string]bool
}

// Overview returns the evidence of every Certificate and issuer of a namespace (or of
// all, if it is empty) that is not as it should be. It asks no name server: each
// object is read once, in lists. Other kinds than Certificates that may not be read are
// left out and named. It fails if the namespace does not exist.
func (c *Collector) Overview(ctx context.Context, namespace string) (stuck []diagnosis.Evidence, missing []string, err error) {
	now := c.Clock.Now().UTC().Truncate(time.Second)
	if namespace != "" {
		// A namespace that does not exist has no Certificates either.
		err := c.Client.Get(ctx, types.NamespacedName{Name: namespace}, &corev1.Namespace{})
		if err != nil && !refused(err) {
			return nil, nil, err
		}
	}
	stock, missing, err := c.takeStock(ctx, namespace)
	if err != nil {
		return nil, nil, err
	}
	for i := range stock.certificates {
		crt := &stock.certificates[i]
		if ready(crt) {
			continue
		}
		e := stock.evidence(crt)
		e.Version, e.At, e.Subject = diagnosis.Version, now, diagnosis.Ref{Kind: cmv1.CertificateKind, Namespace: crt.Namespace, Name: crt.Name}
		stuck = append(stuck, e)
	}
	for ref, issuer := range stock.issuers {
		if !condition.True(issuer.Status.Conditions, cmv1.IssuerConditionReady) {
			stuck = append(stuck, diagnosis.Evidence{Version: diagnosis.Version, At: now, Subject: ref, Issuer: issuer})
		}
	}
	slices.SortFunc(stuck, func(a, b diagnosis.Evidence) int {
		return cmp.Or(cmp.Compare(a.Subject.Namespace, b.Subject.Namespace), cmp.Compare(a.Subject.Kind, b.Subject.Kind), cmp.Compare(a.Subject.Name, b.Subject.Name))
	})
	return stuck, missing, nil
}

// ready reports whether there is nothing to explain about a Certificate.
func ready(crt *cmv1.Certificate) bool {
	issuing := condition.Find(crt.Status.Conditions, cmv1.CertificateConditionIssuing)
	return condition.True(crt.Status.Conditions, cmv1.CertificateConditionReady) &&
		(issuing == nil || issuing.Status != cmmeta.ConditionTrue && crt.Status.LastFailureTime == nil)
}

func (c *Collector) takeStock(ctx context.Context, namespace string) (s inventory, missing []string, err error) {
	s = inventory{
		requests: map[types.UID][]cmv1.CertificateRequest{}, orders: map[types.UID][]acmev1.Order{},
		challenges: map[types.UID][]acmev1.Challenge{}, issuers: map[diagnosis.Ref]*diagnosis.Issuer{}, unread: map[string]bool{},
	}
	take := func(err error) error {
		if err != nil && refused(err) {
			missing = append(missing, err.Error())
			return nil
		}
		return err
	}
	s.certificates, err = listAll[cmv1.Certificate](ctx, c.Client, namespace, &cmv1.CertificateList{}, func(*cmv1.Certificate) bool { return true })
	if err != nil {
		return s, nil, err
	}
	requests, err := listAll[cmv1.CertificateRequest](ctx, c.Client, namespace, &cmv1.CertificateRequestList{}, func(o *cmv1.CertificateRequest) bool {
		return !condition.True(o.Status.Conditions, cmv1.CertificateRequestConditionReady)
	})
	index(s.requests, requests)
	if err := take(err); err != nil {
		return s, nil, err
	}
	orders, err := listAll[acmev1.Order](ctx, c.Client, namespace, &acmev1.OrderList{}, func(o *acmev1.Order) bool { return o.Status.State != acmev1.Valid })
	index(s.orders, orders)
	if err := take(err); err != nil {
		return s, nil, err
	}
	challenges, err := listAll[acmev1.Challenge](ctx, c.Client, namespace, &acmev1.ChallengeList{}, func(*acmev1.Challenge) bool { return true })
	for i := range challenges {
		hide(&challenges[i])
	}
	index(s.challenges, challenges)
	if err := take(err); err != nil {
		return s, nil, err
	}
	for _, kind := range []string{cmv1.IssuerKind, cmv1.ClusterIssuerKind} {
		err := s.addIssuers(ctx, c, kind, namespace)
		s.unread[kind] = err != nil
		if err := take(err); err != nil {
			return s, nil, err
		}
	}
	return s, missing, nil
}

func (s inventory) addIssuers(ctx context.Context, c *Collector, kind, namespace string) error {
	add := func(o cmv1.GenericIssuer) {
		ref := diagnosis.Ref{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}
		s.issuers[ref] = &diagnosis.Issuer{Ref: ref, Group: cmv1.SchemeGroupVersion.Group, Found: true, Spec: o.GetSpec(), Status: o.GetStatus()}
	}
	if kind == cmv1.ClusterIssuerKind {
		list, err := listAll[cmv1.ClusterIssuer](ctx, c.Client, "", &cmv1.ClusterIssuerList{}, func(*cmv1.ClusterIssuer) bool { return true })
		for i := range list {
			add(&list[i])
		}
		return err
	}
	list, err := listAll[cmv1.Issuer](ctx, c.Client, namespace, &cmv1.IssuerList{}, func(*cmv1.Issuer) bool { return true })
	for i := range list {
		add(&list[i])
	}
	return err
}

// index sorts objects by the UID of their controller.
func index[T any, P interface {
	*T
	client.Object
}](into map[types.UID][]T, list []T) {
	for i := range list {
		if owner := metav1.GetControllerOf(P(&list[i])); owner != nil {
			into[owner.UID] = append(into[owner.UID], list[i])
		}
	}
}

// evidence is what the lists have about a Certificate.
func (s inventory) evidence(crt *cmv1.Certificate) diagnosis.Evidence {
	e := diagnosis.Evidence{Certificate: crt}
	if list := s.requests[crt.UID]; len(list) > 0 {
		latest := latestRequest(list)
		e.Request = &latest
		if orders := s.orders[latest.UID]; len(orders) > 0 {
			last := latestOrder(orders)
			e.Order, e.Challenges = &last, s.challenges[last.UID]
		}
	}
	ref := crt.Spec.IssuerRef.WithDefaults()
	e.Issuer = &diagnosis.Issuer{Ref: diagnosis.Ref{Kind: ref.Kind, Name: ref.Name}, Group: ref.Group}
	if ref.Kind != cmv1.ClusterIssuerKind {
		e.Issuer.Namespace = crt.Namespace
	}
	e.Issuer.Unread = s.unread[ref.Kind]
	if found, ok := s.issuers[e.Issuer.Ref]; ok && ref.Group == cmv1.SchemeGroupVersion.Group {
		e.Issuer = found
	}
	// The metadata of Secrets is not listed: a condition says who owns this one.
	for i := range s.certificates {
		if o := &s.certificates[i]; o.Namespace == crt.Namespace && o.Name != crt.Name && o.Spec.SecretName == crt.Spec.SecretName {
			e.Rivals = append(e.Rivals, o.Name)
		}
	}
	return e
}
