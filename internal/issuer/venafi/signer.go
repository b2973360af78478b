package venafi

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/Venafi/vcert/v5/pkg/certificate"
	"github.com/Venafi/vcert/v5/pkg/endpoint"
	"github.com/Venafi/vcert/v5/pkg/venafi/tpp"
	"github.com/Venafi/vcert/v5/pkg/verror"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
	"github.com/everleaf/everleaf/internal/pki"
)

// maxPickup is the longest name of a request at a server that is kept, in bytes.
const maxPickup = 4096

var errOtherKey = errors.New("the server has delivered a certificate for another key than that of the request")

// Sign asks the server for a certificate, or, if the request has been made before, looks
// whether it is there. It never waits for one.
func (t *Type) Sign(ctx context.Context, r issuer.Request) (request.Outcome, error) {
	spec := r.Issuer.Venafi
	if spec == nil {
		return request.Outcome{}, fault.New(fault.User, cmv1.EventReasonIssuerTypeMissing, "Missing issuer type: not a Venafi issuer")
	}
	csr, err := pki.ParseRequest(r.CSR, t.config.Limits)
	if err != nil {
		return request.Outcome{}, fault.New(fault.Permanent, cmv1.EventReasonRequestError, "Failed to request certificate from Certificate Manager: %s", err).Because(err)
	}
	_, key := keysOf(r.Kind)
	wanted, err := requestOf(r, csr)
	if err != nil && r.Annotations[key] == "" {
		return request.Outcome{}, err
	}
	t.doubt.begin(t.how.now())
	s, err := t.sessions.Of(ctx, r.Identity(), r.Issuer, false)
	if err != nil {
		return request.Outcome{}, failureOf(err).ofClient()
	}
	outcome, f, err := t.signWith(ctx, s, r, csr, wanted)
	if f == nil || f.kind != refused {
		return outcome, err
	}
	// The caches may not show a Secret yet that has others.
	other, unread := t.sessions.Of(ctx, r.Identity(), r.Issuer, true)
	switch {
	case unread != nil:
		return request.Outcome{}, failureOf(unread).ofClient()
	case other == s && (!s.settings.renewable() || f.settled):
		return outcome, err
	}
	outcome, _, err = t.signWith(ctx, other, r, csr, wanted)
	return outcome, err
}

// signWith asks the server with a session. A login that the server refuses is not used again.
func (t *Type) signWith(ctx context.Context, s *session, r issuer.Request, csr *x509.CertificateRequest, wanted *certificate.Request) (request.Outcome, *failure, error) {
	l, f := s.connect(ctx, t.how, false)
	if f != nil {
		return request.Outcome{}, f, f.ofClient()
	}
	o := operation{exchange: t.exchange(ctx, s, l), settings: s.settings, limits: t.config.Limits}
	client := o.client()
	way := &earlier{exchange: o.exchange, csr: csr, created: r.Created}
	if t.doubt.about(r.Created) {
		way.doubt = &t.doubt
	}
	client.Transport = way
	o.connector = l.connect(client)
	outcome, f, err := t.alone(o, r, csr, wanted)
	if f != nil && way.uncertain() {
		t.doubt.raise(t.how.now(), r.Created)
	}
	if f != nil && f.kind == refused && !s.discard(l, t.how.now()) {
		f.settled, f.text = true, f.text+madeNow
		err = f.ofClient()
	}
	return outcome, f, err
}

// operation is what is asked of a server for one request.
type operation struct {
	*exchange
	settings  settings
	limits    pki.Limits
	connector endpoint.Connector
}

// alone has a request signed as soon as no other one waits for its object.
func (t *Type) alone(o operation, r issuer.Request, csr *x509.CertificateRequest, wanted *certificate.Request) (request.Outcome, *failure, error) {
	if o.settings.backend != backendTPP {
		return o.sign(r, csr, wanted)
	}
	name, by := objectOf(o.settings, csr), askerOf(r)
	_, key := keysOf(r.Kind)
	made := r.Annotations[key] != ""
	if !made {
		if !t.objects.take(name, by, t.how.now()) {
			return o.waitsForName(r, csr), nil, nil
		}
		if t.doubt.inherited(r.Created, t.how.now()) && o.awaited(csr) {
			// That one looks for its certificate soon, and takes its object then.
			t.objects.free(name, by)
			return o.waitsForName(r, csr), nil, nil
		}
	} else {
		t.objects.take(name, by, t.how.now())
	}
	outcome, f, err := o.sign(r, csr, wanted)
	over := err == nil || !made || f.final() || fault.Of(err).Class == fault.Permanent
	switch {
	case outcome.Pending == nil && over:
		t.objects.free(name, by)
	case f != nil && !f.at.IsZero():
		// The next look is not before that.
		t.objects.take(name, by, f.at)
	}
	return outcome, f, err
}

// waitsForName is the outcome of a request whose object another one waits for.
func (o operation) waitsForName(r issuer.Request, csr *x509.CertificateRequest) request.Outcome {
	return request.Outcome{Pending: &request.Pending{Until: nextTurn(r.Created, r.Now), Message: fmt.Sprintf(
		"certificate is not requested yet: another request for the name %q in zone %q waits for its certificate, and the server has one object for both: it is requested after that, or within %d minutes if the other request is gone; use another common name or another zone to have both at once",
		o.clean(friendlyName(csr)), o.settings.zone, int(held.Minutes()))}}
}

// awaited reports whether the object of a request that this process has not made waits for
// a certificate at the server, for a signing request that the server does not show. What is
// answered otherwise keeps no request from being made.
func (o operation) awaited(csr *x509.CertificateRequest) bool {
	o.last = answer{}
	_ = guarded(func() error {
		_, err := o.connector.RetrieveCertificate(&certificate.Request{
			PickupID: dnOf(o.settings.zone, friendlyName(csr)), CsrOrigin: certificate.UserProvidedCSR, ChainOption: certificate.ChainOptionIgnore,
		})
		return err
	})
	return o.last.status == http.StatusAccepted
}

// sign makes the request at the server, or looks for its certificate.
func (o operation) sign(r issuer.Request, csr *x509.CertificateRequest, wanted *certificate.Request) (request.Outcome, *failure, error) {
	_, key := keysOf(r.Kind)
	id := r.Annotations[key]
	if id == "" {
		made, f := o.request(wanted)
		if f != nil {
			return request.Outcome{}, f, f.ofRequest()
		}
		return request.Outcome{Pending: &request.Pending{
			Until: r.Now.Add(request.PendingFloor), Annotations: map[string]string{key: made}, Message: "certificate is requested",
		}}, nil, nil
	}
	retried := r.Kind == signingrequest.Kind
	if !o.known(id) {
		f := misconfigured("annotation %q does not name a request at the server", key)
		return request.Outcome{}, f, f.ofRetrieval(retried)
	}
	got, stage, f := o.retrieve(id, r.CSR)
	switch {
	case f != nil:
		return request.Outcome{}, f, f.ofRetrieval(retried)
	case got == nil:
		message := "certificate still in a pending state, the request will be retried"
		if retried {
			message = "certificate still in a pending state, waiting"
		}
		if stage != "" {
			message += ": " + stage
		}
		return request.Outcome{Pending: &request.Pending{
			Until: nextLook(r.Created, r.Now), Annotations: map[string]string{key: id}, Message: message,
		}}, nil, nil
	}
	outcome, err := outcomeOf(got, csr.PublicKey, o.limits)
	if errors.Is(err, errOtherKey) {
		f := o.otherKey()
		return request.Outcome{}, f, f.ofRetrieval(retried)
	}
	if err != nil {
		return request.Outcome{}, nil, fault.New(fault.Permanent, cmv1.EventReasonParseError, "Failed to parse returned certificate bundle: %s", err).Because(err)
	}
	return outcome, nil, nil
}

// request makes a request for a certificate and returns what names it at the server. The
// calls come in a fixed order: a reset after the request would take it back.
func (o operation) request(wanted *certificate.Request) (string, *failure) {
	own := *wanted
	o.validity = ""
	if o.settings.backend != backendTPP {
		o.validity = period(*own.ValidityDuration)
	}
	o.fields = own.CustomFields
	var zone *endpoint.ZoneConfiguration
	err := o.call(callZone, func() (err error) {
		zone, err = o.connector.ReadZoneConfiguration()
		return err
	})
	if f := o.failed("", err, "the policy of the zone cannot be read"); f != nil {
		if f.kind == declined || errors.Is(err, errPanic) {
			f.text = fmt.Sprintf("zone %q: %s", o.settings.zone, f.text)
		}
		return "", f
	}
	err = guarded(func() error {
		if err := zone.ValidateCertificateRequest(&own); err != nil {
			return err
		}
		return o.connector.GenerateRequest(zone, &own)
	})
	if errors.Is(err, errPanic) {
		return "", o.failed("", err, "")
	}
	if err != nil {
		return "", &failure{kind: declined, text: fmt.Sprintf("the policy of zone %q does not allow the request: %s", o.settings.zone, o.clean(err.Error())), err: err}
	}
	if o.settings.backend == backendTPP {
		if f := o.reset(&own); f != nil {
			return "", f
		}
	}
	o.last = answer{}
	var id string
	err = o.call(callRequest, func() (err error) {
		id, err = o.connector.RequestCertificate(&own)
		return err
	})
	if id != "" && len(id) <= maxPickup {
		// Whatever came after it: the server has the request.
		return id, nil
	}
	if err == nil {
		err = errors.New("no name")
	}
	return "", o.failed("", err, "the answer does not name the request")
}

// reset ends what an earlier request for the same certificate has left: an error, after
// which the server takes no other one.
func (o operation) reset(wanted *certificate.Request) *failure {
	o.last = answer{}
	err := guarded(func() error { return o.connector.ResetCertificate(wanted, false) })
	if tpp.IsCertNotFound(err) {
		return nil
	}
	return o.failed("", err, "the answer to the reset cannot be read")
}

// known reports whether the annotation can be what names a request at the server: anybody
// who may edit the request can write it, and the SaaS has it in a path.
func (o operation) known(id string) bool {
	if len(id) > maxPickup {
		return false
	}
	return o.settings.backend == backendTPP || isID(id)
}

// isID reports whether a text can be the id of a request at the SaaS.
func isID(text string) bool {
	return text != "" && strings.Trim(text, "0123456789abcdefABCDEF-") == ""
}

// retrieve looks whether the certificate of a request is there, once. Without one it
// returns what the server says of the request.
func (o operation) retrieve(id string, csr []byte) (*certificate.PEMCollection, string, *failure) {
	asked := &certificate.Request{PickupID: id, CsrOrigin: certificate.UserProvidedCSR, ChainOption: certificate.ChainOptionRootLast}
	if err := asked.SetCSR(csr); err != nil {
		return nil, "", &failure{kind: unusable, text: "the signing request cannot be read", err: err}
	}
	var got *certificate.PEMCollection
	err := o.call(callRetrieve, func() (err error) {
		got, err = o.connector.RetrieveCertificate(asked)
		return err
	})
	var pending endpoint.ErrCertificatePending
	const issued = "ISSUED"
	switch {
	case err == nil:
		return got, "", nil
	case errors.As(err, &pending) && o.pending():
		if f := o.ended(pending.Status); f != nil {
			return nil, "", f
		}
		return nil, o.clean(pending.Status), nil
	case errors.Is(err, errPanic) && o.last.said == issued:
		// The SaaS says so before it names the certificate, and vcert expects the name.
		return nil, issued, nil
	case errors.Is(err, verror.CertificateCheckError) && got != nil && got.Certificate != "":
		return nil, "", o.otherKey()
	default:
		return nil, "", o.failed("", err, "the server has not delivered a certificate"+said(o.last))
	}
}

// otherKey is the failure of a request that gets another one's certificate. A self-hosted
// server has one object for all requests of one name.
func (o operation) otherKey() *failure {
	f := &failure{kind: unusable, text: errOtherKey.Error(), err: errOtherKey}
	if o.settings.backend == backendTPP {
		f.text += ": another one of the same common name has been requested in this zone since: use another common name or another zone"
	}
	return f
}

// said is what the server has said, after a colon.
func said(a answer) string {
	if a.said == "" {
		return ""
	}
	return ": " + a.said
}

// pending reports whether the last answer is one of a server that works on the request.
// vcert takes all others of the SaaS for such.
func (o operation) pending() bool {
	switch o.last.status {
	case http.StatusOK, http.StatusAccepted, http.StatusConflict:
		return true
	default:
		return false
	}
}

// ended is the failure of a request to the SaaS that has come to an end without a
// certificate, which vcert takes for one that is worked on.
func (o operation) ended(status string) *failure {
	if o.settings.backend == backendTPP {
		return nil
	}
	if hasEnded(status) {
		return &failure{kind: declined, text: "the request has ended without a certificate: " + o.last.said}
	}
	return nil
}

// hasEnded reports whether the status of a request at the SaaS is that of one that gets no
// certificate any more.
func hasEnded(status string) bool {
	return slices.ContainsFunc([]string{"REJECTED", "CANCEL", "REVOKED", "DELETED", "FAILED"}, func(end string) bool {
		return strings.HasPrefix(status, end)
	})
}
