package integration

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/faultproxy"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/pebble"
)

// advisedLab is a faultLab whose clock a test moves, and the proxy of its Issuer "acme".
type advisedLab struct {
	*faultLab
	clock *harness.Movable
	proxy *faultproxy.Proxy
}

// newAdvisedLab returns an advisedLab with a Certificate "web" that has been issued.
// change changes the controllers' options, faults are there from the first request on;
// both may be nil.
func newAdvisedLab(t *testing.T, change func(*operator.Options), faults func(*faultproxy.Proxy)) *advisedLab {
	t.Helper()
	a := &advisedLab{clock: &harness.Movable{}}
	// The name server refuses signatures of another time.
	a.faultLab = newFaultLab(t, harness.QuickOptions{Clock: a.clock}, func(o *operator.Options) {
		o.Clock = a.clock
		if change != nil {
			change(o)
		}
	})
	if faults == nil {
		faults = func(*faultproxy.Proxy) {}
	}
	a.proxy = a.issuerWith(t, "acme", faults)
	a.Apply(t, a.ns, harness.CertificateManifest("web", "acme", "web.example.com"))
	a.revision(t, "web", 1)
	return a
}

// advised waits until the status has advice that passes a check.
func (a *advisedLab) advised(t *testing.T, check func(*cmv1.ACMERenewalInfo) error) (*cmv1.Certificate, *cmv1.ACMERenewalInfo) {
	t.Helper()
	crt := a.becomes(t, "web", func(crt *cmv1.Certificate) error {
		if crt.Status.ACME == nil || crt.Status.ACME.ARI == nil {
			return errors.New("there is no advice in the status")
		}
		return check(crt.Status.ACME.ARI)
	})
	return crt, crt.Status.ACME.ARI
}

// aWindow checks that there is a window, and no error.
func aWindow(ari *cmv1.ACMERenewalInfo) error {
	if w := ari.SuggestedWindow; w == nil || !w.Start.Time.Before(w.End.Time) || ari.LastError != "" || !ari.NextCheck.After(ari.LastChecked.Time) {
		return fmt.Errorf("the status says %+v", ari)
	}
	return nil
}

// certID identifies the certificate of "web" to its CA.
func (a *advisedLab) certID(t *testing.T) string {
	t.Helper()
	chain, _ := chainOf(t, a.secret(t, "web-tls"))
	return pki.CertID(chain[0])
}

// TestRenewalInformation: the CA's window is in the status after issuance, by one write,
// and decides. When the CA moves it into the past, the certificate is renewed, and the
// order says which one it replaces.
func TestRenewalInformation(t *testing.T) {
	a := newAdvisedLab(t, nil, nil)
	crt, ari := a.advised(t, aWindow)
	if at := crt.Status.RenewalTime; at.Time.Before(ari.SuggestedWindow.Start.Time) || !at.Time.Before(ari.SuggestedWindow.End.Time) {
		t.Errorf("renewal at %s, and the window is %+v", at, ari.SuggestedWindow)
	}
	if next := ari.NextCheck.Sub(ari.LastChecked.Time); next < 324*time.Minute || next > 396*time.Minute {
		t.Errorf("the next check is in %s", next)
	}
	before := a.traffic.Settle(t, a.ns, 2*time.Second)
	if n := len(a.proxy.Requests(faultproxy.RenewalInfo)); n != 1 {
		t.Errorf("the CA was asked %d times", n)
	}

	first, id := a.secret(t, "web-tls").Data["tls.crt"], a.certID(t)
	const page = "https://ca.example.com/incident"
	start := crt.Status.NotBefore.Add(time.Minute)
	if err := a.quick.CA.SetRenewalInfo(t.Context(), first, start, start.Add(time.Minute), page); err != nil {
		t.Fatal(err)
	}
	// Nothing changes before the next check.
	if after := a.traffic.Settle(t, a.ns, time.Second); len(after) != len(before) {
		t.Errorf("written without a reason: %v", tally(after[len(before):]))
	}
	a.clock.Move(7 * time.Hour)
	a.revision(t, "web", 2)
	orders, _ := a.orders(t, "web")
	var replaced []string
	for _, o := range orders {
		replaced = append(replaced, o.Spec.Replaces)
	}
	if len(replaced) != 2 || strings.Join(replaced, "") != id {
		t.Errorf("the orders replace %q, want one that replaces %s", replaced, id)
	}
	if n := len(a.proxy.Requests(faultproxy.NewOrder)); n != 2 {
		t.Errorf("%d requests for orders, want 2", n)
	}
	// The old window is not taken for one of the new certificate.
	crt, ari = a.advised(t, func(ari *cmv1.ACMERenewalInfo) error {
		if ari.ExplanationURL == page {
			return errors.New("the advice is still that on the first certificate")
		}
		return aWindow(ari)
	})
	if crt.Status.RenewalTime.Time.Before(ari.SuggestedWindow.Start.Time) || *crt.Status.Revision != 2 {
		t.Errorf("revision %d, renewal at %s", *crt.Status.Revision, crt.Status.RenewalTime)
	}
	if n := len(a.proxy.Requests(faultproxy.RenewalInfo)); n != 3 {
		t.Errorf("the CA was asked %d times, want 3", n)
	}
}

// TestRenewalInformationOff: nobody is asked whose advice is not wanted, and no order names
// what it replaces.
func TestRenewalInformationOff(t *testing.T) {
	for name, test := range map[string]struct {
		options func(*operator.Options)
		source  string
		faults  func(*faultproxy.Proxy)
	}{
		"gate": {options: func(o *operator.Options) {
			flags := pflag.NewFlagSet("", pflag.PanicOnError)
			o.AddFlags(flags)
			_ = flags.Parse([]string{"--feature-gates=ACMEUseARI=false"})
		}},
		"issuer": {source: "None"},
		"directory": {faults: func(p *faultproxy.Proxy) {
			p.Fail(faultproxy.Directory, faultproxy.Fault{Rewrite: func(directory map[string]any) { delete(directory, "renewalInfo") }})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAdvisedLab(t, test.options, test.faults)
			if test.source != "" {
				a.patch(t, &cmv1.Issuer{}, "acme", `{"spec": {"acme": {"renewalInformationSource": "`+test.source+`"}}}`)
			}
			a.Apply(t, a.ns, harness.CertificateManifest("later", "acme", "later.example.com"))
			a.revision(t, "later", 1)
			asked := len(a.proxy.Requests(faultproxy.RenewalInfo))
			a.issueByHand(t, "later")
			a.revision(t, "later", 2)
			a.traffic.Settle(t, a.ns, 2*time.Second)
			if crt := a.crt(t, "later"); crt.Status.ACME != nil || len(a.proxy.Requests(faultproxy.RenewalInfo)) > asked {
				t.Errorf("asked: %+v", crt.Status.ACME)
			}
			if test.source == "" && asked > 0 {
				t.Errorf("asked %d times", asked)
			}
			if n := len(a.proxy.Requests(faultproxy.NewOrder)); n != 3 {
				t.Errorf("%d requests for orders, want 3", n)
			}
		})
	}
}

// TestRenewalInformationFails: a CA that has no answer is asked again when it says, the
// status and an event tell, and the last window stays.
func TestRenewalInformationFails(t *testing.T) {
	a := newAdvisedLab(t, nil, func(p *faultproxy.Proxy) {
		p.Fail(faultproxy.RenewalInfo, faultproxy.Fault{Status: 500, RetryAfter: 2 * 3600})
	})
	crt, ari := a.advised(t, func(*cmv1.ACMERenewalInfo) error { return nil })
	const want = "Could not fetch ACME Renewal Information: "
	if !strings.HasPrefix(ari.LastError, want) || !strings.Contains(ari.LastError, "500") || ari.SuggestedWindow != nil {
		t.Errorf("the status says %+v", ari)
	}
	if next := ari.NextCheck.Sub(ari.LastChecked.Time); next < 108*time.Minute || next > 132*time.Minute {
		t.Errorf("the next check is in %s", next)
	}
	plain := pki.RenewalTime(crt.Status.NotBefore.Time, crt.Status.NotAfter.Time, nil, nil)
	if !crt.Status.RenewalTime.Time.Equal(plain) {
		t.Errorf("renewal at %s, want %s", crt.Status.RenewalTime, plain)
	}
	a.event(t, "Certificate", "web", "ARIError", want)
	a.proxy.Heal(faultproxy.RenewalInfo)
	a.clock.Move(3 * time.Hour)
	_, ari = a.advised(t, aWindow)
	window := *ari.SuggestedWindow
	a.proxy.Fail(faultproxy.RenewalInfo, faultproxy.Fault{Status: 503})
	a.clock.Move(7 * time.Hour)
	_, ari = a.advised(t, func(ari *cmv1.ACMERenewalInfo) error {
		if ari.LastError == "" {
			return errors.New("no error")
		}
		return nil
	})
	if *ari.SuggestedWindow != window {
		t.Errorf("the window is now %+v, and was %+v", ari.SuggestedWindow, window)
	}
	a.revision(t, "web", 1)
	a.WantNowhere(t, a.ns, canary)
}

// TestReplacesAtAnotherCA has an Issuer that moves to another CA, which does not know the
// certificate that the order replaces: it gets the order once more without that. An order
// at another issuer replaces nothing.
func TestReplacesAtAnotherCA(t *testing.T) {
	a := newAdvisedLab(t, nil, nil)
	a.advised(t, aWindow)
	ca := pebble.Start(t, pebble.Options{
		DNSServer: a.quick.DNS.Addr(), Env: []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0", "PEBBLE_WFE_NONCEREJECT=0"},
	})
	second := faultproxy.Start(t, ca, canary)
	a.patch(t, &cmv1.Issuer{}, "acme", fmt.Sprintf(`{"spec": {"acme": {"server": %q, "caBundle": %q}}}`,
		second.DirectoryURL, base64.StdEncoding.EncodeToString(second.CABundle)))
	harness.Eventually(t, patience, func() error {
		if len(second.Requests(faultproxy.NewAccount)) == 0 {
			return errors.New("the account is not registered at the second CA")
		}
		return a.isRegistered(t, "acme")
	})
	id := a.certID(t)
	a.issueByHand(t, "web")
	a.revision(t, "web", 2)
	if n := len(second.Requests(faultproxy.NewOrder)); n != 2 {
		t.Errorf("%d requests for orders, want 2", n)
	}
	orders, _ := a.orders(t, "web")
	if !slices.ContainsFunc(orders, func(o acmev1.Order) bool { return o.Spec.Replaces == id }) {
		t.Errorf("no order replaces %s", id)
	}

	a.behind(t, "elsewhere", a.proxy)
	a.registered(t, "elsewhere")
	asked := len(a.proxy.Requests(faultproxy.NewOrder))
	a.patch(t, &cmv1.Certificate{}, "web", `{"spec": {"issuerRef": {"name": "elsewhere"}}}`)
	a.revision(t, "web", 3)
	if n := len(a.proxy.Requests(faultproxy.NewOrder)) - asked; n != 1 {
		t.Errorf("%d requests for orders at another issuer, want 1", n)
	}
	// The advice is that of the new issuer's CA.
	id = a.certID(t)
	harness.Eventually(t, patience, func() error {
		crt := a.crt(t, "web")
		if ari := crt.Status.ACME; ari == nil || ari.ARI == nil || ari.ARI.LastChecked.Time.Before(crt.Status.NotBefore.Time) || ari.ARI.LastError != "" {
			return fmt.Errorf("no advice on %s: %+v", id, ari)
		}
		return nil
	})
	a.WantNowhere(t, a.ns, canary)
}
