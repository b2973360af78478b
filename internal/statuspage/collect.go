package statuspage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// Collect reads the state of a Certificate. Another object that cannot be read is a
// Problem of the page; it fails only if the Certificate itself cannot be read, or if ctx
// ends. The error of the API server is returned as it is.
func Collect(ctx context.Context, c client.Reader, namespace, name string) (Page, error) {
	r := reader{ctx, c}
	crt := &cmv1.Certificate{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, crt); err != nil {
		return Page{}, err
	}
	page := Of(crt)
	page.Events = r.events(crt.Namespace, crt.UID)
	var isACME bool
	page.Issuer, isACME = r.issuer(crt)
	page.Secret = r.secret(crt)
	request, problem := r.request(crt)
	page.Request = Request{Problem: problem}
	if request != nil {
		page.Request = RequestOf(request)
		page.Request.Events = r.events(request.Namespace, request.UID)
		if isACME {
			page.Order, page.Challenges = r.order(request)
		}
	}
	return page, ctx.Err()
}

type reader struct {
	ctx context.Context
	client.Reader
}

// events are the events about an object, which are in a namespace.
func (r reader) events(namespace string, uid types.UID) Events {
	var list corev1.EventList
	selector := client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("involvedObject.uid", string(uid))}
	if err := r.List(r.ctx, &list, client.InNamespace(namespace), selector); err != nil {
		return Events{Problem: fmt.Sprintf("cannot be read: %v", err)}
	}
	var events Events
	for i := range list.Items {
		events.Items = append(events.Items, EventOf(&list.Items[i]))
	}
	slices.SortStableFunc(events.Items, func(a, b Event) int { return a.Last.Compare(b.Last) })
	return events
}

// EventOf is an event as it is shown.
func EventOf(e *corev1.Event) Event {
	shown := Event{
		Type: e.Type, Reason: e.Reason, First: e.FirstTimestamp.UTC(), Last: e.LastTimestamp.UTC(),
		Count: max(e.Count, 1), From: cmp.Or(e.Source.Component, e.ReportingController), Message: e.Message,
	}
	if e.Series != nil {
		shown.Count, shown.Last = max(e.Series.Count, 1), e.Series.LastObservedTime.UTC()
	}
	if shown.First.IsZero() {
		shown.First = cmp.Or(e.EventTime.UTC(), e.CreationTimestamp.UTC())
	}
	if shown.Last.IsZero() {
		shown.Last = shown.First
	}
	return shown
}

// issuer is the issuer of a Certificate, and whether it is an ACME issuer.
func (r reader) issuer(crt *cmv1.Certificate) (Issuer, bool) {
	ref := crt.Spec.IssuerRef.WithDefaults()
	if ref.Group != cmv1.SchemeGroupVersion.Group {
		return Issuer{Problem: fmt.Sprintf("The %s %q is not of the group cert-manager.io, this command currently does not support third party issuers.\nTo get more information about %q, try 'kubectl describe'", ref.Kind, ref.Name, ref.Name)}, false
	}
	// Events about an object without a namespace are in the namespace default.
	var issuer cmv1.GenericIssuer = &cmv1.Issuer{}
	key, eventsIn := client.ObjectKey{Namespace: crt.Namespace, Name: ref.Name}, crt.Namespace
	if ref.Kind == cmv1.ClusterIssuerKind {
		issuer, key.Namespace, eventsIn = &cmv1.ClusterIssuer{}, "", metav1.NamespaceDefault
	}
	if err := r.Get(r.ctx, key, issuer); err != nil {
		return Issuer{Problem: fmt.Sprintf("error when getting %s: %v", ref.Kind, err)}, false
	}
	shown := Issuer{Name: ref.Name, Kind: ref.Kind, Events: r.events(eventsIn, issuer.GetUID())}
	for _, c := range issuer.GetStatus().Conditions {
		shown.Conditions = append(shown.Conditions, Condition{string(c.Type), string(c.Status), c.Reason, c.Message})
	}
	return shown, issuer.GetSpec().ACME != nil
}

func (r reader) secret(crt *cmv1.Certificate) Secret {
	name := crt.Spec.SecretName
	secret := &corev1.Secret{}
	if err := r.Get(r.ctx, client.ObjectKey{Namespace: crt.Namespace, Name: name}, secret); err != nil {
		return Secret{Problem: fmt.Sprintf("error when finding Secret %q: %v", name, err)}
	}
	shown := SecretOf(name, secret.Data[corev1.TLSCertKey])
	if shown.Problem == "" {
		shown.Events = r.events(secret.Namespace, secret.UID)
	}
	return shown
}

// request is the CertificateRequest of the next revision, or why there is none.
func (r reader) request(crt *cmv1.Certificate) (*cmv1.CertificateRequest, string) {
	next := 1
	if crt.Status.Revision != nil {
		next = *crt.Status.Revision + 1
	}
	var list cmv1.CertificateRequestList
	if err := r.List(r.ctx, &list, client.InNamespace(crt.Namespace)); err != nil {
		return nil, fmt.Sprintf("error when finding CertificateRequest: %v", err)
	}
	for i := range list.Items {
		request := &list.Items[i]
		if metav1.IsControlledBy(request, crt) && request.Annotations[cmv1.CertificateRequestRevisionAnnotationKey] == strconv.Itoa(next) {
			return request, ""
		}
	}
	return nil, "No CertificateRequest found for this Certificate"
}

// order is the Order of a request, with its Challenges. Without an Order nothing is said
// of Challenges.
func (r reader) order(request *cmv1.CertificateRequest) (*Order, *Challenges) {
	var orders acmev1.OrderList
	if err := r.List(r.ctx, &orders, client.InNamespace(request.Namespace)); err != nil {
		return &Order{Problem: fmt.Sprintf("error when finding Order: %v", err)}, nil
	}
	i := slices.IndexFunc(orders.Items, func(o acmev1.Order) bool { return metav1.IsControlledBy(&o, request) })
	if i < 0 {
		return &Order{Problem: "No Order found for this Certificate"}, nil
	}
	order := &orders.Items[i]
	var challenges acmev1.ChallengeList
	if err := r.List(r.ctx, &challenges, client.InNamespace(request.Namespace)); err != nil {
		return OrderOf(order), &Challenges{Problem: fmt.Sprintf("error when finding Challenges: %v", err)}
	}
	ours := slices.DeleteFunc(challenges.Items, func(c acmev1.Challenge) bool { return !metav1.IsControlledBy(&c, order) })
	if len(ours) == 0 {
		return OrderOf(order), &Challenges{Problem: "No Challenges found for this Certificate"}
	}
	return OrderOf(order), ChallengesOf(ours)
}

// utc is a time, nil if it is not set.
func utc(t *metav1.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := t.UTC()
	return &at
}
