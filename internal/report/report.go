// Package report makes one page about all certificates of a cluster: values and a time go
// in, a report comes out, and the report is printed as text or HTML. No Secret is needed.
package report

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/lifecycle/certificate"
)

// Input is what a report is about.
type Input struct {
	Certificates   []cmv1.Certificate
	Requests       []cmv1.CertificateRequest
	Orders         []acmev1.Order
	Issuers        []cmv1.Issuer
	ClusterIssuers []cmv1.ClusterIssuer
	// Missing says what could not be read.
	Missing []string
}

// Report is the page. All lists are sorted, what needs attention first.
type Report struct {
	At           time.Time     `json:"at"`
	Totals       Totals        `json:"totals"`
	Certificates []Certificate `json:"certificates"`
	// Calendar has the next weeks, the present one first.
	Calendar []Week   `json:"calendar"`
	Issuers  []Issuer `json:"issuers"`
	Keys     []Count  `json:"keys"`
	// Authorities are the ACME CAs.
	Authorities []Authority `json:"authorities"`
	Missing     []string    `json:"missing,omitempty"`
}

// Totals count certificates by their state.
type Totals struct {
	Certificates int `json:"certificates"`
	Ready        int `json:"ready"`
	Failed       int `json:"failed"`
	Issuing      int `json:"issuing"`
	Expired      int `json:"expired"`
}

// State is how a certificate is.
type State string

// The states, the worst first.
const (
	// Expired means that the certificate is past its end.
	Expired State = "expired"
	// Failed means that the last issuance has failed, or that there is no usable
	// certificate and none is being issued.
	Failed State = "failed"
	// Issuing means that a certificate is being issued.
	Issuing State = "issuing"
	// Ready means that there is nothing to do.
	Ready State = "ready"
)

var severity = map[State]int{Expired: 0, Failed: 1, Issuing: 2, Ready: 3}

// Certificate is a Certificate.
type Certificate struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	State     State    `json:"state"`
	Names     []string `json:"names"`
	Issuer    string   `json:"issuer"`
	// Key is the algorithm and the size, such as RSA 2048.
	Key         string     `json:"key"`
	NotAfter    *time.Time `json:"notAfter,omitempty"`
	RenewalTime *time.Time `json:"renewalTime,omitempty"`
	// Overdue reports that the renewal should have begun more than an hour ago.
	Overdue bool `json:"overdue,omitempty"`
	// EarlierCA reports that it was signed by a key that its CA issuer no longer has. Clients
	// that know only the issuer's present CA refuse it.
	EarlierCA bool `json:"earlierCA,omitempty"`
	// Cause is why it is not ready, why the last issuance has failed, or why its renewal
	// cannot follow its windows.
	Cause          string `json:"cause,omitempty"`
	FailedAttempts int    `json:"failedAttempts,omitempty"`
}

// Week counts what happens in seven days.
type Week struct {
	Begins   time.Time `json:"begins"`
	Renewing int       `json:"renewing"`
	Expiring int       `json:"expiring"`
}

// Count is how many certificates have something.
type Count struct {
	Name string `json:"name"`
	N    int    `json:"n"`
}

// Issuer is an issuer, with the Certificates that name it.
type Issuer struct {
	Name         string `json:"name"`
	Type         string `json:"type"`
	Ready        bool   `json:"ready"`
	Cause        string `json:"cause,omitempty"`
	Certificates int    `json:"certificates"`
	NotReady     int    `json:"notReady"`
}

const (
	// weeks is the length of the calendar: 13 weeks have the 90 days of most certificates.
	weeks = 13
	week  = 7 * 24 * time.Hour
	// overdue is how late a renewal may begin. Renewals are spread.
	overdue = time.Hour
)

// Of is the report about a cluster at a time.
func Of(in Input, now time.Time) Report {
	now = now.UTC().Truncate(time.Second)
	r := Report{At: now, Missing: in.Missing, Certificates: []Certificate{}, Issuers: issuersOf(in), Keys: []Count{}}
	certificates := issuedBy(in.Requests)
	cas := presentCAs(in, certificates)
	for i := range in.Certificates {
		r.Certificates = append(r.Certificates, certificateOf(&in.Certificates[i], certificates, cas, now))
	}
	slices.SortFunc(r.Certificates, func(a, b Certificate) int {
		return cmp.Or(cmp.Compare(severity[a.State], severity[b.State]), compareTimes(a.NotAfter, b.NotAfter),
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	r.count(now)
	r.Authorities = authoritiesOf(in, now)
	return r
}

// notice is why a certificate needs somebody's attention, in a word and in a sentence.
type notice struct{ Word, Cause string }

// notice returns nil if there is nothing to do.
func (c Certificate) notice() *notice {
	switch {
	case c.State != Ready:
		return &notice{string(c.State), c.Cause}
	case c.Cause != "":
		return &notice{"window-error", c.Cause}
	case c.Overdue:
		return &notice{"overdue", "the renewal should have begun on " + date(c.RenewalTime)}
	case c.EarlierCA:
		return &notice{"earlier-ca", fmt.Sprintf("signed by a key that %s no longer has, until it is renewed: everleaf renew -n %s %s", c.Issuer, c.Namespace, c.Name)}
	default:
		return nil
	}
}

// compareTimes puts what has no time last.
func compareTimes(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	default:
		return a.Compare(*b)
	}
}

func certificateOf(crt *cmv1.Certificate, certificates issued, cas map[string]*x509.Certificate, now time.Time) Certificate {
	present := certificates.present(crt)
	row := Certificate{
		Namespace: crt.Namespace, Name: crt.Name, Names: namesOf(crt), Issuer: issuerName(crt.Namespace, crt.Spec.IssuerRef), Key: keyOf(crt, present),
	}
	if ca := cas[row.Issuer]; ca != nil && present != nil {
		row.EarlierCA = !signedBy(present, ca)
	}
	if crt.Status.NotAfter != nil {
		at := crt.Status.NotAfter.UTC()
		row.NotAfter = &at
	}
	if crt.Status.RenewalTime != nil {
		at := crt.Status.RenewalTime.UTC()
		row.RenewalTime = &at
		row.Overdue = now.Sub(at) > overdue
	}
	if crt.Status.FailedIssuanceAttempts != nil {
		row.FailedAttempts = *crt.Status.FailedIssuanceAttempts
	}
	row.State, row.Cause = stateOf(crt, now)
	return row
}

// stateOf tells how a certificate is, and why. The condition Issuing has the cause from
// the deepest object.
func stateOf(crt *cmv1.Certificate, now time.Time) (State, string) {
	ready := condition.Find(crt.Status.Conditions, cmv1.CertificateConditionReady)
	issuing := condition.Find(crt.Status.Conditions, cmv1.CertificateConditionIssuing)
	// Nothing is issued any more, for a reason that Issuing has.
	halted := issuing != nil && (issuing.Reason == certificate.ReasonHalted || issuing.Reason == certificate.ReasonShared)
	cause := ""
	switch {
	case issuing != nil && issuing.Message != "" && (issuing.Status == cmmeta.ConditionTrue || crt.Status.LastFailureTime != nil || halted):
		cause = issuing.Message
	case ready != nil && ready.Status != cmmeta.ConditionTrue:
		cause = ready.Message
	case ready == nil:
		cause = "no controller has seen it yet"
	}
	failed := halted || crt.Status.LastFailureTime != nil || crt.Status.FailedIssuanceAttempts != nil
	switch {
	case crt.Status.NotAfter != nil && !now.Before(crt.Status.NotAfter.Time):
		return Expired, cause
	case issuing != nil && issuing.Status == cmmeta.ConditionTrue && !failed:
		return Issuing, cause
	case !failed && ready != nil && ready.Reason == cmv1.CertificateReasonWindowError:
		return Ready, ready.Message
	case failed || ready == nil || ready.Status != cmmeta.ConditionTrue:
		return Failed, cause
	default:
		return Ready, ""
	}
}

// count fills the totals, the calendar and the keys.
func (r *Report) count(now time.Time) {
	begins := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	for i := range weeks {
		r.Calendar = append(r.Calendar, Week{Begins: begins.Add(time.Duration(i) * week)})
	}
	at := func(t *time.Time) *Week {
		if t == nil || t.Before(begins) {
			return nil
		}
		if i := int(t.Sub(begins) / week); i < weeks {
			return &r.Calendar[i]
		}
		return nil
	}
	keys := map[string]int{}
	for _, crt := range r.Certificates {
		r.Totals.Certificates++
		keys[crt.Key]++
		switch crt.State {
		case Ready:
			r.Totals.Ready++
		case Failed:
			r.Totals.Failed++
		case Issuing:
			r.Totals.Issuing++
		case Expired:
			r.Totals.Expired++
		}
		if w := at(crt.NotAfter); w != nil {
			w.Expiring++
		}
		if w := at(crt.RenewalTime); w != nil {
			w.Renewing++
		}
	}
	r.Keys = counts(keys)
}

// counts sorts counts, the largest first.
func counts(by map[string]int) []Count {
	sorted := []Count{}
	for name, n := range by {
		sorted = append(sorted, Count{name, n})
	}
	slices.SortFunc(sorted, func(a, b Count) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name)) })
	return sorted
}
