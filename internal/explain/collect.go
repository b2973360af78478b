// Package explain collects the evidence of why a certificate is not issued, and
// prints what follows from it. It reads, and writes nothing but the question to the
// controllers, which they answer and remove.
package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/diagnosis"
	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/selfcheck"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// Collector reads evidence from a cluster.
type Collector struct {
	Client client.Client
	Clock  clock.WithTicker
	// Providers name the servers to which records are written.
	Providers dns01.Registry
	// Survey has the resolvers that are asked from here, SelfCheck looks for HTTP-01
	// challenges from here.
	Survey    dns.Survey
	SelfCheck *selfcheck.Checker
	// Named are the resolvers that the user has named; the Survey has them too.
	Named []string
	// Patience is how long the controllers have for their answer; 0 does not ask them.
	Patience time.Duration
	// ID makes the id of a question.
	ID func() string
	// here guards the parts of Evidence that are filled in parallel.
	here sync.Mutex
}

const (
	// page bounds the objects of one answer of the API server.
	page = 500
	// maxAsked bounds the Challenges of one object about which servers are asked.
	maxAsked = 3
	// maxEvents bounds the events that are kept.
	maxEvents = 20
)

// Collect reads the evidence about an object. Another object that cannot be read is part
// of the evidence; it fails only if the object itself may not be read, if ctx ends, or if
// the API server cannot be reached.
func (c *Collector) Collect(ctx context.Context, subject diagnosis.Ref) (diagnosis.Evidence, error) {
	e := diagnosis.Evidence{Version: diagnosis.Version, At: c.Clock.Now().UTC().Truncate(time.Second), Subject: subject}
	if err := c.chain(ctx, &e); err != nil {
		return e, err
	}
	if !e.Known() && len(e.Missing) > 0 {
		return e, errors.New(e.Missing[0])
	}
	var group sync.WaitGroup
	group.Go(func() { c.events(ctx, &e) })
	group.Go(func() { c.ca(ctx, &e) })
	e.Resolvers = c.Named
	asked := 0
	var overHTTP []*acmev1.Challenge
	for i := range e.Challenges {
		one := &e.Challenges[i]
		if !c.canAsk(one) || one.Status.State == acmev1.Valid || !one.Status.Presented && one.Status.State == "" {
			continue
		}
		if asked++; asked > maxAsked {
			c.miss(&e, "the servers were asked about %d Challenges only: explain the others one by one", maxAsked)
			break
		}
		if one.Spec.Type == acmev1.ACMEChallengeTypeHTTP01 {
			overHTTP = append(overHTTP, one)
		}
		group.Go(func() { c.fromHere(ctx, &e, one) })
		if c.Patience > 0 {
			group.Go(func() { c.fromControllers(ctx, &e, one) })
		}
	}
	if len(overHTTP) > 0 {
		group.Go(func() { c.edges(ctx, &e, overHTTP) })
	}
	group.Wait()
	slices.SortFunc(e.Sightings, func(a, b diagnosis.Sighting) int {
		return cmp.Or(strings.Compare(a.Challenge, b.Challenge), strings.Compare(string(b.From), string(a.From)))
	})
	for i := range e.Challenges {
		trim(&e.Challenges[i])
		hide(&e.Challenges[i])
	}
	return e, ctx.Err()
}

// chain reads the objects from the subject up to its Certificate and down to its
// Challenges.
func (c *Collector) chain(ctx context.Context, e *diagnosis.Evidence) error {
	ns, name := e.Subject.Namespace, e.Subject.Name
	var err error
	switch e.Subject.Kind {
	case cmv1.CertificateKind:
		e.Certificate, _, err = read(ctx, c, e, ns, name, &cmv1.Certificate{})
	case cmv1.CertificateRequestKind:
		e.Request, _, err = read(ctx, c, e, ns, name, &cmv1.CertificateRequest{})
	case acmev1.OrderKind:
		e.Order, _, err = read(ctx, c, e, ns, name, &acmev1.Order{})
	case acmev1.ChallengeKind:
		var one *acmev1.Challenge
		if one, _, err = read(ctx, c, e, ns, name, &acmev1.Challenge{}); one != nil {
			e.Challenges = []acmev1.Challenge{*one}
			if owner := ownerOf(one, acmev1.OrderKind); owner != "" && err == nil {
				e.Order, _, err = read(ctx, c, e, ns, owner, &acmev1.Order{})
			}
		}
	case cmv1.IssuerKind, cmv1.ClusterIssuerKind:
		return c.issuer(ctx, e, cmmeta.IssuerReference{Kind: e.Subject.Kind, Name: name})
	default:
		return fmt.Errorf("there is nothing to explain about a %s", e.Subject.Kind)
	}
	if err != nil {
		return err
	}
	if err := c.upwards(ctx, e); err != nil {
		return err
	}
	if err := c.downwards(ctx, e); err != nil {
		return err
	}
	if e.Certificate != nil {
		if err := c.secret(ctx, e); err != nil {
			return err
		}
	}
	if ref := issuerRef(e); ref.Name != "" {
		return c.issuer(ctx, e, ref)
	}
	return nil
}

// upwards reads the owners.
func (c *Collector) upwards(ctx context.Context, e *diagnosis.Evidence) (err error) {
	if e.Request == nil && e.Order != nil {
		if owner := ownerOf(e.Order, cmv1.CertificateRequestKind); owner != "" {
			if e.Request, _, err = read(ctx, c, e, e.Subject.Namespace, owner, &cmv1.CertificateRequest{}); err != nil {
				return err
			}
		}
	}
	if e.Certificate == nil && e.Request != nil {
		if owner := ownerOf(e.Request, cmv1.CertificateKind); owner != "" {
			e.Certificate, _, err = read(ctx, c, e, e.Subject.Namespace, owner, &cmv1.Certificate{})
		}
	}
	return err
}

// downwards reads what the objects own. Only the latest request of a Certificate says
// why it is not issued, and only the latest order of a request.
func (c *Collector) downwards(ctx context.Context, e *diagnosis.Evidence) error {
	if e.Subject.Kind == acmev1.ChallengeKind {
		return nil
	}
	if e.Request == nil && e.Certificate != nil {
		list, err := list[cmv1.CertificateRequest](ctx, c, e, &cmv1.CertificateRequestList{}, func(r *cmv1.CertificateRequest) bool {
			return metav1.IsControlledBy(r, e.Certificate)
		})
		if err != nil {
			return err
		}
		if len(list) > 0 {
			latest := latestRequest(list)
			// An issued request of the present revision explains nothing.
			if !stale(e.Certificate, &latest) {
				e.Request = &latest
			}
		}
	}
	if e.Order == nil && e.Request != nil {
		list, err := list[acmev1.Order](ctx, c, e, &acmev1.OrderList{}, func(o *acmev1.Order) bool { return metav1.IsControlledBy(o, e.Request) })
		if err != nil {
			return err
		}
		if len(list) > 0 {
			latest := latestOrder(list)
			e.Order = &latest
		}
	}
	if e.Order == nil {
		return nil
	}
	var err error
	e.Challenges, err = list[acmev1.Challenge](ctx, c, e, &acmev1.ChallengeList{}, func(o *acmev1.Challenge) bool { return metav1.IsControlledBy(o, e.Order) })
	return err
}

// stale reports whether a request has been answered and stored.
func stale(crt *cmv1.Certificate, r *cmv1.CertificateRequest) bool {
	return condition.True(r.Status.Conditions, cmv1.CertificateRequestConditionReady) &&
		!condition.True(crt.Status.Conditions, cmv1.CertificateConditionIssuing) && crt.Status.LastFailureTime == nil
}

// latestRequest is the one of the last issuance.
func latestRequest(list []cmv1.CertificateRequest) cmv1.CertificateRequest {
	return slices.MaxFunc(list, func(a, b cmv1.CertificateRequest) int { return cmp.Compare(revision(&a), revision(&b)) })
}

// latestOrder is the one that was made last.
func latestOrder(list []acmev1.Order) acmev1.Order {
	return slices.MaxFunc(list, func(a, b acmev1.Order) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
}

func revision(r *cmv1.CertificateRequest) int {
	n, _ := strconv.Atoi(r.Annotations[cmv1.CertificateRequestRevisionAnnotationKey])
	return n
}

func issuerRef(e *diagnosis.Evidence) cmmeta.IssuerReference {
	switch {
	case e.Request != nil:
		return e.Request.Spec.IssuerRef
	case e.Certificate != nil:
		return e.Certificate.Spec.IssuerRef
	case e.Order != nil:
		return e.Order.Spec.IssuerRef
	case len(e.Challenges) > 0:
		return e.Challenges[0].Spec.IssuerRef
	default:
		return cmmeta.IssuerReference{}
	}
}

// issuer reads the issuer of a reference.
func (c *Collector) issuer(ctx context.Context, e *diagnosis.Evidence, ref cmmeta.IssuerReference) error {
	ref = ref.WithDefaults()
	found := &diagnosis.Issuer{Ref: diagnosis.Ref{Kind: ref.Kind, Name: ref.Name}, Group: ref.Group}
	e.Issuer = found
	if ref.Group != cmv1.SchemeGroupVersion.Group {
		return nil
	}
	var object cmv1.GenericIssuer
	var err error
	var known bool
	if ref.Kind == cmv1.ClusterIssuerKind {
		var one *cmv1.ClusterIssuer
		if one, known, err = read(ctx, c, e, "", ref.Name, &cmv1.ClusterIssuer{}); one != nil {
			object = one
		}
	} else {
		found.Namespace = e.Subject.Namespace
		var one *cmv1.Issuer
		if one, known, err = read(ctx, c, e, e.Subject.Namespace, ref.Name, &cmv1.Issuer{}); one != nil {
			object = one
		}
	}
	found.Unread = !known
	if object != nil {
		found.Found, found.Spec, found.Status = true, object.GetSpec(), object.GetStatus()
	}
	return err
}

// secret reads the metadata of the Certificate's Secret, and who else wants it.
func (c *Collector) secret(ctx context.Context, e *diagnosis.Evidence) error {
	e.Secret = &diagnosis.Secret{Name: e.Certificate.Spec.SecretName}
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	found, known, err := read(ctx, c, e, e.Subject.Namespace, e.Secret.Name, object)
	if err != nil {
		return err
	}
	if e.Secret.Unread = !known; found != nil {
		e.Secret.Found, e.Secret.Certificate = true, found.Annotations[cmv1.CertificateNameAnnotationKey]
	}
	rivals, err := list[cmv1.Certificate](ctx, c, e, &cmv1.CertificateList{}, func(o *cmv1.Certificate) bool {
		return o.Spec.SecretName == e.Secret.Name && o.Name != e.Certificate.Name
	})
	for _, o := range rivals {
		e.Rivals = append(e.Rivals, o.Name)
	}
	return err
}

// miss records what could not be read.
func (c *Collector) miss(e *diagnosis.Evidence, format string, args ...any) {
	c.here.Lock()
	defer c.here.Unlock()
	e.Missing = append(e.Missing, fmt.Sprintf(format, args...))
}

// read gets an object; nil if it is not there, or if it may not be read, which is
// recorded and makes known false.
func read[T client.Object](ctx context.Context, c *Collector, e *diagnosis.Evidence, namespace, name string, into T) (found T, known bool, err error) {
	var none T
	err = c.Client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, into)
	switch {
	case err == nil:
		trim(into)
		return into, true, nil
	case apierrors.IsNotFound(err):
		return none, true, nil
	case refused(err):
		c.miss(e, "%s", err)
		return none, false, nil
	default:
		return none, false, err
	}
}

// refused reports whether the API server does not let the user read something. Any other
// failure says nothing about what is there.
func refused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }

// trim drops what is large and explains nothing.
func trim(o client.Object) {
	o.SetManagedFields(nil)
	annotations := o.GetAnnotations()
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	delete(annotations, diagnosis.AskAnnotation)
	delete(annotations, diagnosis.AnswerAnnotation)
	switch o := o.(type) {
	case *cmv1.CertificateRequest:
		o.Spec.Request, o.Status.Certificate, o.Status.CA = nil, nil, nil
	case *acmev1.Order:
		o.Spec.Request, o.Status.Certificate = nil, nil
		for i := range o.Status.Authorizations {
			o.Status.Authorizations[i].Challenges = nil
		}
	}
}

// list reads the objects of the subject's namespace of a kind that are wanted.
func list[T any, P interface {
	*T
	client.Object
}](ctx context.Context, c *Collector, e *diagnosis.Evidence, into client.ObjectList, wanted func(P) bool) ([]T, error) {
	all, err := listAll[T, P](ctx, c.Client, e.Subject.Namespace, into, wanted)
	if err != nil && refused(err) {
		c.miss(e, "%s", err)
		return nil, nil
	}
	return all, err
}
