// Package takeover says what everleaf would do with a cluster in which cert-manager has
// issued: what this version cannot serve, and what it would touch. It reads, and writes
// nothing.
package takeover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/lifecycle/shim"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// Cluster is what decides.
type Cluster struct {
	Certificates []cmv1.Certificate
	// Requests are those of Certificates, by the UID of the Certificate.
	Requests map[types.UID][]*facts.Request
	// Secrets are those of Certificates, and those with a next private key.
	Secrets        map[types.NamespacedName]*facts.Secret
	Issuers        []cmv1.Issuer
	ClusterIssuers []cmv1.ClusterIssuer
	Ingresses      []networkingv1.Ingress
}

// Settings are how everleaf would run.
type Settings struct {
	// Serves reports whether it has issuers of a type.
	Serves  func(facts.IssuerType) bool
	Backoff plan.Backoff
	// OwnSecrets is --enable-certificate-owner-ref.
	OwnSecrets bool
	Shim       shim.Settings
}

// Verdicts about an object.
const (
	// Unserved is what this version leaves alone: nothing about it goes on.
	Unserved = "unserved"
	// Touched is what everleaf would write, soon after its start.
	Touched = "touched"
)

// Finding is about one object.
type Finding struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Verdict   string `json:"verdict"`
	// Why says what is not served or would be written, and why.
	Why string `json:"why"`
}

// Report is what is found.
type Report struct {
	// Certificates, Issuers and Ingresses are how many were looked at; an Ingress counts
	// if it asks for Certificates.
	Certificates int       `json:"certificates"`
	Issuers      int       `json:"issuers"`
	Ingresses    int       `json:"ingresses"`
	Findings     []Finding `json:"findings"`
}

// Unserved are how many objects this version cannot serve.
func (r Report) Unserved() int {
	n := 0
	for _, f := range r.Findings {
		if f.Verdict == Unserved {
			n++
		}
	}
	return n
}

// Judge says what everleaf would do at a time. The findings are in the order of verdict,
// kind, namespace and name.
func Judge(c Cluster, s Settings, now time.Time) Report {
	j := judge{Cluster: c, settings: s, now: now, unserved: map[string]facts.IssuerType{}}
	for i := range c.ClusterIssuers {
		j.issuer(&c.ClusterIssuers[i])
	}
	for i := range c.Issuers {
		j.issuer(&c.Issuers[i])
	}
	for i := range c.Certificates {
		j.certificate(&c.Certificates[i])
	}
	for i := range c.Ingresses {
		j.ingress(&c.Ingresses[i])
	}
	slices.SortStableFunc(j.report.Findings, func(a, b Finding) int {
		return cmp.Or(-cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return j.report
}

type judge struct {
	Cluster
	settings Settings
	now      time.Time
	report   Report
	// unserved are the types of the issuers that are not served, by issuerKey.
	unserved map[string]facts.IssuerType
}

func (j *judge) find(kind string, o metav1.Object, verdict, format string, args ...any) {
	j.report.Findings = append(j.report.Findings, Finding{
		Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName(), Verdict: verdict, Why: fmt.Sprintf(format, args...),
	})
}

func issuerKey(kind, namespace, name string) string { return kind + "/" + namespace + "/" + name }

func (j *judge) issuer(issuer cmv1.GenericIssuer) {
	j.report.Issuers++
	kind := cmv1.IssuerKind
	if issuer.GetNamespace() == "" {
		kind = cmv1.ClusterIssuerKind
	}
	if of := facts.TypeOf(issuer.GetSpec()); !j.settings.Serves(of) {
		j.unserved[issuerKey(kind, issuer.GetNamespace(), issuer.GetName())] = of
		j.find(kind, issuer, Unserved, "this version has no issuers of type %q: the requests to it stay as they are", of)
	}
}

// unservedType is the type of the issuer that a reference in a namespace means, and
// whether it is one that is not served.
func (j *judge) unservedType(namespace string, ref cmmeta.IssuerReference) (facts.IssuerType, bool) {
	if !facts.OwnIssuer(ref) {
		return "", false
	}
	ref = ref.WithDefaults()
	if ref.Kind == cmv1.ClusterIssuerKind {
		namespace = ""
	}
	of, found := j.unserved[issuerKey(ref.Kind, namespace, ref.Name)]
	return of, found
}

func (j *judge) certificate(crt *cmv1.Certificate) {
	j.report.Certificates++
	if of, found := j.unservedType(crt.Namespace, crt.Spec.IssuerRef); found {
		renewal := ""
		if at := crt.Status.RenewalTime; at != nil {
			renewal = "; its renewal is due at " + at.UTC().Format(time.RFC3339)
		}
		j.find(cmv1.CertificateKind, crt, Unserved, "%s %q is of type %q, which this version does not have: it is not issued or renewed%s",
			crt.Spec.IssuerRef.WithDefaults().Kind, crt.Spec.IssuerRef.Name, of, renewal)
		return
	}
	if touched := j.touched(crt); touched != "" {
		j.find(cmv1.CertificateKind, crt, Touched, "%s", touched)
	}
}

// touched says what would be written first for a Certificate, "" for nothing.
func (j *judge) touched(crt *cmv1.Certificate) string {
	state := certificate.State{
		Object: crt, Secret: j.Secrets[types.NamespacedName{Namespace: crt.Namespace, Name: crt.Spec.SecretName}],
		Requests: j.Requests[crt.UID], Backoff: j.settings.Backoff, OwnSecret: j.settings.OwnSecrets, Started: j.now, SecretOwnedBy: j.otherOwner(crt),
	}
	for _, s := range j.Secrets {
		if s.Owner == crt.UID && s.Name != crt.Spec.SecretName && s.Labels[cmv1.IsNextPrivateKeySecretLabelKey] == "true" {
			state.Keys = append(state.Keys, s)
		}
	}
	// Passwords are not read: keystores that are there count as fit.
	var unread []certificate.Locked
	for _, k := range certificate.Keystores(&crt.Spec) {
		unread = append(unread, certificate.Locked{Keystore: k, Why: fault.New(fault.User, "Unread", "the password has not been read")})
	}
	state.Keystores = state.CheckedKeystores(certificate.Material{}, nil, nil, unread, pki.Limits{})
	next := state.Next(j.now)
	issuing := condition.Find(next.Status.Conditions, cmv1.CertificateConditionIssuing)
	switch begun := condition.True(crt.Status.Conditions, cmv1.CertificateConditionIssuing); {
	case begun:
		return "its issuance goes on where cert-manager has left it"
	case issuing != nil && issuing.Status == cmmeta.ConditionTrue:
		return fmt.Sprintf("it would be issued: %s (%s)", issuing.Message, issuing.Reason)
	case next.Do == nil && !equality.Semantic.DeepEqual(next.Status, crt.Status):
		return "everleaf would write the status" + ready(next.Status)
	case next.Do == nil:
		return ""
	default:
		return "everleaf would " + next.Do.String() + because(state, next.Do)
	}
}

// ready says that a Certificate would not be ready, and why.
func ready(s cmv1.CertificateStatus) string {
	if c := condition.Find(s.Conditions, cmv1.CertificateConditionReady); c != nil && c.Status != cmmeta.ConditionTrue {
		return fmt.Sprintf(": not Ready (%s): %s", c.Reason, c.Message)
	}
	return ""
}

// because is why an action is taken, where that is not clear from its name.
func because(state certificate.State, action plan.Action) string {
	if repair, ok := action.(certificate.RepairSecret); ok {
		if drift := state.Drift(); len(drift) > 0 {
			return ": " + strings.Join(drift, "; ")
		}
		return ": " + repair.Why.Message
	}
	return ""
}

// otherOwner is the name of another Certificate that has a better right to the Secret of
// a Certificate, "" without one.
func (j *judge) otherOwner(crt *cmv1.Certificate) string {
	var sharing []cmv1.Certificate
	for i := range j.Certificates {
		if other := &j.Certificates[i]; other.Namespace == crt.Namespace && other.Spec.SecretName == crt.Spec.SecretName {
			sharing = append(sharing, *other)
		}
	}
	if len(sharing) < 2 {
		return ""
	}
	owner := certificate.SecretOwner(sharing, j.Secrets[types.NamespacedName{Namespace: crt.Namespace, Name: crt.Spec.SecretName}])
	if owner == crt.Name {
		return ""
	}
	return owner
}

func (j *judge) ingress(ingress *networkingv1.Ingress) {
	object := shim.OfIngress(ingress)
	wanted := shim.Want(object, j.settings.Shim)
	if !wanted.Asked {
		return
	}
	j.report.Ingresses++
	if of, found := j.unservedType(ingress.Namespace, wanted.Issuer); wanted.Valid && found {
		j.find(shim.KindIngress, ingress, Unserved, "it asks for certificates of %s %q, whose type %q this version does not have",
			wanted.Issuer.WithDefaults().Kind, wanted.Issuer.Name, of)
		return
	}
	state := shim.State{Object: object, Wanted: wanted, Certificates: j.certificatesOf(ingress, wanted), Memory: &shim.Memory{}}
	next := state.Next(j.now)
	if tell, ok := next.Do.(shim.Tell); ok {
		for _, event := range next.Events {
			j.find(shim.KindIngress, ingress, Touched, "the Warning event %s says: %s", event.Reason, event.Message)
		}
		state.Tell(tell)
		next = state.Next(j.now)
	}
	if next.Do != nil {
		j.find(shim.KindIngress, ingress, Touched, "everleaf would %s", next.Do)
	}
}

// certificatesOf are the Certificates that an Ingress controls, and those that have a name
// that it wants.
func (j *judge) certificatesOf(ingress *networkingv1.Ingress, wanted shim.Wanted) []*cmv1.Certificate {
	var found []*cmv1.Certificate
	for i := range j.Certificates {
		crt := &j.Certificates[i]
		named := slices.ContainsFunc(wanted.Certificates, func(w *cmv1.Certificate) bool { return w.Name == crt.Name })
		if crt.Namespace == ingress.Namespace && (named || metav1.IsControlledBy(crt, ingress)) {
			found = append(found, crt)
		}
	}
	return found
}
