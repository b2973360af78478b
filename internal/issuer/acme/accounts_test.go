package acme

import (
	"testing"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
)

var begin = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return begin.Add(d) }

func anAccount(server string, client *acme.Client) *account {
	return &account{client: client, info: facts.Account{Issuer: &acmev1.ACMEIssuer{Server: server}}}
}

// TestSuspectBacksOff holds that a server that finds the account and refuses its
// orders all the same is not asked in a loop.
func TestSuspectBacksOff(t *testing.T) {
	var a Accounts
	client := &acme.Client{}
	now := at(0)
	register := func() bool { return a.add("issuer", anAccount("https://ca.example/", client), now) }
	if !register() {
		t.Error("the first registration does not bring the account into use")
	}
	if register() {
		t.Error("a setup that changes nothing brings the account into use")
	}
	for i, want := range []time.Duration{0, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute} {
		began := now
		now = now.Add(time.Second)
		again := a.Suspect("issuer", began, now, "")
		if got := again.Sub(now); got != want {
			t.Errorf("refusal %d: registered again after %s, want %s", i+1, got, want)
		}
		if _, _, ok := a.Get("issuer"); ok || !a.isRejected("issuer") {
			t.Errorf("refusal %d: still in use", i+1)
		}
		if other := a.Suspect("issuer", began, now.Add(time.Second), ""); !other.Equal(again) {
			t.Errorf("refusal %d: another step that was refused moves the time to %s", i+1, other)
		}
		now = again
		if !register() {
			t.Errorf("refusal %d: registering does not bring the account into use", i+1)
		}
		if late := a.Suspect("issuer", began, now, ""); !late.IsZero() {
			t.Errorf("refusal %d: a step from before the registration counts: %s", i+1, late)
		}
	}
	now = now.Add(stableAfter)
	if again := a.Suspect("issuer", now, now, ""); !again.Equal(now) {
		t.Errorf("after an hour of use: registered again after %s, want at once", again.Sub(now))
	}
	for range 30 {
		now = now.Add(time.Minute)
		register()
		now = a.Suspect("issuer", now.Add(time.Second), now.Add(time.Second), "")
	}
	register()
	if wait := a.Suspect("issuer", now, now, "").Sub(now); wait != fault.UserRetry {
		t.Errorf("waits %s at most, want %s", wait, fault.UserRetry)
	}
	if again := a.Suspect("unknown", now, now, ""); !again.Equal(now) {
		t.Errorf("an issuer that is not set up: %s", again)
	}
}

func TestNewClientStartsAfresh(t *testing.T) {
	var a Accounts
	a.add("issuer", anAccount("https://ca.example/", &acme.Client{}), at(0))
	a.Suspect("issuer", at(0), at(0), "")
	a.add("issuer", anAccount("https://ca.example/", &acme.Client{}), at(time.Second))
	if again := a.Suspect("issuer", at(time.Minute), at(time.Minute), ""); !again.Equal(at(time.Minute)) {
		t.Errorf("with another key: registered again at %s, want at once", again)
	}
}

func TestGate(t *testing.T) {
	var a Accounts
	gate := func() time.Time {
		_, use, _ := a.Get("issuer")
		return use.NewOrderNotBefore
	}
	a.Gate("issuer", at(time.Hour), "x") // unknown: must not panic
	a.add("issuer", anAccount("https://ca.example/", nil), at(0))
	a.Gate("issuer", at(time.Hour), "too many")
	a.Gate("issuer", at(time.Minute), "fewer")
	if !gate().Equal(at(time.Hour)) {
		t.Errorf("gate %s, want the later one", gate())
	}
	a.add("issuer", anAccount("https://ca.example/", nil), at(0))
	if !gate().Equal(at(time.Hour)) {
		t.Errorf("gate %s is lost by a setup", gate())
	}
	a.add("issuer", anAccount("https://other.example/", nil), at(0))
	if !gate().IsZero() {
		t.Errorf("gate %s holds for another server", gate())
	}
	a.Remove("issuer")
	if _, _, ok := a.Get("issuer"); ok {
		t.Error("removed and still in use")
	}
}

// TestGateProbe holds that one new order at a time finds out whether a rate limit
// is over, and that the others follow when it is.
func TestGateProbe(t *testing.T) {
	var a Accounts
	ask := func(now time.Time, want bool) {
		t.Helper()
		if got := a.Ask("issuer", now); got != want {
			t.Errorf("at %s a new order may be asked for: %t", now.Sub(begin), got)
		}
	}
	ask(at(0), true) // not set up: whoever asks finds no account
	a.add("issuer", anAccount("https://ca.example/", nil), at(0))
	ask(at(0), true)
	ask(at(0), true)
	if a.Answered("issuer") {
		t.Error("without a gate, one has ended")
	}
	a.Gate("issuer", at(5*time.Minute), "too many new orders")
	ask(at(time.Minute), false)
	if a.Answered("issuer") {
		t.Error("an order that was asked for before the gate ends it")
	}
	ask(at(5*time.Minute), true)
	ask(at(5*time.Minute), false)
	_, info, _ := a.Get("issuer")
	if !info.NewOrderNotBefore.Equal(at(6*time.Minute)) || info.NewOrdersLimited != "too many new orders" {
		t.Errorf("while one asks, the others wait until %s: %s", info.NewOrderNotBefore, info.NewOrdersLimited)
	}
	a.Gate("issuer", at(5*time.Minute+10*time.Second), "still too many") // the answer
	ask(at(5*time.Minute+5*time.Second), false)
	ask(at(5*time.Minute+10*time.Second), true)
	ask(at(6*time.Minute+10*time.Second), true) // the first got no answer
	a.add("issuer", anAccount("https://ca.example/", nil), at(0))
	if !a.Answered("issuer") {
		t.Error("the gate is lost by a setup, or not ended")
	}
	_, info, _ = a.Get("issuer")
	if !info.NewOrderNotBefore.IsZero() || info.NewOrdersLimited != "" {
		t.Errorf("after the gate: %+v", info)
	}
	ask(at(6*time.Minute+10*time.Second), true)
	ask(at(6*time.Minute+10*time.Second), true)
}
