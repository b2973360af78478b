// Package order decides what an Order needs next, and which Orders and
// Challenges may be worked on.
package order

import (
	"fmt"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// Manager is the field manager of an Order's status and of its Challenges, and
// the source of its events.
const Manager = "cert-manager-orders"

// Plan is what an Order needs next.
type Plan = plan.Plan[acmev1.OrderStatus]

// State is everything that decides what an Order needs next.
type State struct {
	// Object is the Order; it is not to be changed.
	Object *acmev1.Order
	// Request is the CertificateRequest that controls the Order, or nil.
	Request *cmv1.CertificateRequest
	// Certificate controls the request, nil if none does. Copied reports whether its
	// annotations of a key are copied to requests.
	Certificate *cmv1.Certificate
	Copied      func(key string) bool
	// Account is the issuer's, nil while the issuer is not ready.
	Account *facts.Account
	// NotReady says why there is no account, as the end of a sentence. It is empty
	// if the issuer is ready, and this process has yet to set its account up.
	NotReady string
	// Challenges are those that the Order controls.
	Challenges []*acmev1.Challenge
	// BlockedBy names an older, unfinished Order of the same account for the same
	// identifiers and profile, as "namespace/name". Servers such as Boulder answer
	// both with one order, so they run one at a time. BlockedUntil is when that
	// Order no longer counts, zero before it has its order at the server.
	BlockedBy    string
	BlockedUntil time.Time
	// Limits bound the signing request and the certificate.
	Limits pki.Limits
	// Memory is what the server has answered. It is never nil.
	*Memory
}

// Memory is what the server has answered to this process about an order. A
// restart loses it.
type Memory struct {
	// Loaded is when this process saw the Order first.
	Loaded time.Time
	// Account is the URL of the account that the server's answers were for.
	Account string
	// Server is the order in the server's last answer, nil after a restart.
	Server *acme.Order
	// FetchedAt is when Server was received; Polls counts the answers in a row
	// before it that had the same status.
	FetchedAt time.Time
	Polls     int
	// Gone counts the answers that the order, or an authorization of it, does not
	// exist. Recheck says that the order is fetched before anything else is done.
	Gone    int
	Recheck bool
	// Downloads counts those that failed. MissingSince is when the certificate was
	// first not where the server had said, zero if it was not missing.
	Downloads    int
	MissingSince time.Time
	// NotBefore is when the server allows NotBeforeOf, the URL of an account, to
	// ask again for this order or about it.
	NotBefore   time.Time
	NotBeforeOf string
	// Authorizations were fetched, and are not stored yet.
	Authorizations []acme.Authorization
	// Chain was downloaded, PEM with the leaf first, and is not stored yet.
	Chain []byte
}

// Record notes the server's answer about the order.
func (m *Memory) Record(o acme.Order, now time.Time) {
	if m.Server != nil && m.Server.Status == o.Status {
		m.Polls++
	} else {
		m.Polls = 0
	}
	m.Server, m.FetchedAt, m.Recheck = &o, now, false
}

// recheckDownloads is how many downloads fail before each further one has the
// order fetched again first.
const recheckDownloads = 8

// Failed notes that an action failed at the server.
func (m *Memory) Failed(action plan.Action, err error, now time.Time) {
	if acme.IsGone(err) {
		m.Gone++
		m.Recheck = true
	}
	if _, downloading := action.(Download); !downloading {
		return
	}
	m.Downloads++
	m.Recheck = m.Downloads >= recheckDownloads
	if acme.IsCertificateMissing(err) && m.MissingSince.IsZero() {
		m.MissingSince = now
	}
}

// Next decides what the Order needs next.
func (s State) Next(now time.Time) Plan {
	status := &s.Object.Status
	switch {
	case s.Object.DeletionTimestamp != nil:
		return s.wait()
	case Failed(status.State), status.State == acmev1.Valid && len(status.Certificate) > 0:
		return deleteChallenges(s.wait(), Obsolete(status.State, s.Challenges))
	case status.URL == "" && s.Server != nil:
		return s.storeURL()
	}
	if why := Provenance(s.Object, s.Request, s.Limits); why != "" {
		if s.Request == nil {
			// It may be on its way out: garbage collection follows its owner's end.
			return s.because(s.wait(), why, s.Loaded, now)
		}
		return fail(s.wait(), acmev1.Errored, why, now)
	}
	switch {
	case s.Chain != nil:
		return s.complete(now)
	case s.Account == nil:
		return s.awaitAccount(now)
	case status.URL != "" && s.elsewhere():
		return fail(s.wait(), acmev1.Expired, "The issuer uses another ACME server or account than the one that has the order", now)
	case s.NotBefore.After(now) && s.NotBeforeOf == s.Account.URL:
		return s.rest()
	case status.URL == "":
		return s.create(now)
	default:
		return s.proceed(now)
	}
}

// proceed decides by the state in which the server has the order.
func (s State) proceed(now time.Time) Plan {
	p, server := s.wait(), s.server()
	switch {
	case s.Recheck:
		p.Do = s.fetch()
		return p
	case server != nil && len(server.Authorizations) > len(Identifiers(s.Object)):
		return fail(p, acmev1.Errored, fmt.Sprintf("The ACME server named %d authorizations for an order of %d names",
			len(server.Authorizations), len(Identifiers(s.Object))), now)
	case server != nil && s.lacksURLs():
		return s.storeURLs()
	case server == nil && (p.Status.State == acmev1.Valid || p.Status.State == acmev1.Ready || p.Status.State == acmev1.Processing):
		// Another controller got further than the Challenges show.
		p.Do = s.fetch()
		return p
	case server == nil:
		return s.authorize(now)
	}
	switch server.Status {
	case acme.StatusInvalid:
		return fail(p, acmev1.Invalid, s.invalidReason(), now)
	case acme.StatusExpired:
		return fail(p, acmev1.Expired, "The order has expired at the ACME server", now)
	case acme.StatusProcessing:
		return s.poll(now)
	case acme.StatusValid:
		return s.download(p)
	case acme.StatusReady:
		return s.again(s.finalize(), "the order is ready, and cannot be finalized", now)
	default:
		return s.authorize(now)
	}
}

// wait returns the plan that does and changes nothing.
func (s State) wait() Plan { return Plan{Status: *s.Object.Status.DeepCopy()} }

// server returns the server's last answer about the order whose URL the status
// has, or nil. Another process may have stored another order's URL.
func (s State) server() *acme.Order {
	if s.Server == nil || s.Server.URL != s.Object.Status.URL {
		return nil
	}
	return s.Server
}

// Final reports whether an Order or a Challenge in a state has ended, well or
// not.
func Final(s acmev1.State) bool { return s == acmev1.Valid || Failed(s) }

// Failed reports whether an Order or a Challenge in a state has failed.
func Failed(s acmev1.State) bool {
	return s == acmev1.Invalid || s == acmev1.Expired || s == acmev1.Errored
}

// Ended reports whether nothing is asked of the ACME server for an Order any
// more.
func Ended(o *acmev1.Order) bool {
	return o.DeletionTimestamp != nil || Failed(o.Status.State) ||
		(o.Status.State == acmev1.Valid && len(o.Status.Certificate) > 0)
}

// Done reports whether an Order needs its Challenges no more.
func Done(o *acmev1.Order) bool {
	return o.DeletionTimestamp != nil || Final(o.Status.State)
}
