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

	certificatesv1 "k8s.io/api/certificates/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
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
	Secrets         map[types.NamespacedName]*facts.Secret
	Issuers         []cmv1.Issuer
	ClusterIssuers  []cmv1.ClusterIssuer
	Ingresses       []networkingv1.Ingress
	Gateways        []gwapi.Gateway
	ListenerSets    []gwapi.ListenerSet
	SigningRequests []certificatesv1.CertificateSigningRequest
}

// Settings are how everleaf would run.
type Settings struct {
	// Serves reports whether it has issuers of a type.
	Serves func(facts.IssuerType) bool
	// Unsupported says why it cannot use a solver, as the end of a sentence, or
	// returns "".
	Unsupported func(*acmev1.ACMEChallengeSolver) string
	Backoff     plan.Backoff
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
	// Certificates, Issuers, Ingresses, Gateways and SigningRequests are how many were
	// looked at. An Ingress counts if it asks for Certificates, so do a Gateway and a
	// ListenerSet, and a CertificateSigningRequest if it is for an issuer and has no
	// answer.
	Certificates    int       `json:"certificates"`
	Issuers         int       `json:"issuers"`
	Ingresses       int       `json:"ingresses"`
	Gateways        int       `json:"gateways"`
	SigningRequests int       `json:"signingRequests"`
	Findings        []Finding `json:"findings"`
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
	j := judge{Cluster: c, index: indexOf(c), settings: s, now: now, unserved: map[string]facts.IssuerType{}, advising: map[string]bool{}}
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
		if j.shimmed(shim.OfIngress(&c.Ingresses[i]), &c.Ingresses[i], "") {
			j.report.Ingresses++
		}
	}
	j.gateways()
	for i := range c.SigningRequests {
		j.signingRequest(&c.SigningRequests[i])
	}
	slices.SortStableFunc(j.report.Findings, func(a, b Finding) int {
		return cmp.Or(-cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return j.report
}

type judge struct {
	Cluster
	index
	settings Settings
	now      time.Time
	report   Report
	// unserved are the types of the issuers that are not served, by issuerKey.
	unserved map[string]facts.IssuerType
	// advising are the issuers whose CA advises when to renew, by issuerKey.
	advising map[string]bool
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
		if of == facts.IssuerUnset {
			// A type of a later version of the API is not seen by this one.
			j.find(kind, issuer, Unserved, "its spec configures no type that this version has: the requests to it wait")
		} else {
			j.find(kind, issuer, Unserved, "this version has no issuers of type %q: the requests to it stay as they are", of)
		}
		return
	}
	j.advising[issuerKey(kind, issuer.GetNamespace(), issuer.GetName())] = certificate.TakesAdvice(issuer.GetSpec())
	if acme := issuer.GetSpec().ACME; acme != nil {
		for n := range acme.Solvers {
			if why := j.settings.Unsupported(&acme.Solvers[n]); why != "" {
				j.find(kind, issuer, Unserved, "spec.acme.solvers[%d] %s", n, why)
			}
		}
	}
}

// unservedType is the type of the issuer that a reference in a namespace means, and
// whether it is one that is not served.
func (j *judge) unservedType(namespace string, ref cmmeta.IssuerReference) (facts.IssuerType, bool) {
	of, found := j.unserved[keyOf(namespace, ref)]
	return of, found
}

// notHere says of an issuer that its type is not served.
func notHere(of facts.IssuerType) string {
	if of == facts.IssuerUnset {
		return "configures no type that this version has"
	}
	return fmt.Sprintf("is of type %q, which this version does not have", of)
}

// keyOf is the issuerKey of what a reference in a namespace means, "" for an issuer of
// others.
func keyOf(namespace string, ref cmmeta.IssuerReference) string {
	if !facts.OwnIssuer(ref) {
		return ""
	}
	ref = ref.WithDefaults()
	if ref.Kind == cmv1.ClusterIssuerKind {
		namespace = ""
	}
	return issuerKey(ref.Kind, namespace, ref.Name)
}

func (j *judge) certificate(crt *cmv1.Certificate) {
	j.report.Certificates++
	if of, found := j.unservedType(crt.Namespace, crt.Spec.IssuerRef); found {
		renewal := ""
		if at := crt.Status.RenewalTime; at != nil {
			renewal = "; its renewal is due at " + at.UTC().Format(time.RFC3339)
		}
		j.find(cmv1.CertificateKind, crt, Unserved, "%s %q %s: it is not issued or renewed%s",
			crt.Spec.IssuerRef.WithDefaults().Kind, crt.Spec.IssuerRef.Name, notHere(of), renewal)
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
		Advised:      j.advising[keyOf(crt.Namespace, crt.Spec.IssuerRef)],
		SecretUsedBy: j.users[types.NamespacedName{Namespace: crt.Namespace, Name: crt.Spec.SecretName}],
	}
	for _, s := range j.keys[crt.UID] {
		if s.Name != crt.Spec.SecretName {
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
