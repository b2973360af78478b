package responder

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// challenge returns a Challenge whose key says whose it is.
func challenge(uid, name, token string, change ...func(*acmev1.Challenge)) *acmev1.Challenge {
	c := &acmev1.Challenge{
		ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: uid, UID: types.UID(uid), CreationTimestamp: metav1.Time{Time: now}},
		Spec:       acmev1.ChallengeSpec{Type: acmev1.ACMEChallengeTypeHTTP01, DNSName: name, Token: token, Key: token + "." + uid},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func state(s acmev1.State) func(*acmev1.Challenge) {
	return func(c *acmev1.Challenge) { c.Status.State = s }
}

func later(c *acmev1.Challenge) { c.CreationTimestamp.Time = now.Add(time.Second) }

func deleting(c *acmev1.Challenge) { c.DeletionTimestamp = &metav1.Time{Time: now} }

func table(challenges ...*acmev1.Challenge) *Table {
	t := NewTable(clocktesting.NewFakePassiveClock(now))
	for _, c := range challenges {
		t.OnAdd(c, true)
	}
	return t
}

// answer is what Answer returns.
type answer struct {
	Key    string
	Result Result
}

func ask(t *Table, token, host string) answer {
	key, result := t.Answer(token, host)
	return answer{key, result}
}

func TestAnswer(t *testing.T) {
	const www = "www.example.com"
	for _, tt := range []struct {
		name        string
		challenges  []*acmev1.Challenge
		token, host string
		want        answer
	}{
		{"its own Host", []*acmev1.Challenge{challenge("a", www, "t")}, "t", www, answer{"t.a", Answered}},
		{"before the state is known", []*acmev1.Challenge{challenge("a", www, "t", state(acmev1.Unknown))}, "t", www, answer{"t.a", Answered}},
		{"another Host", []*acmev1.Challenge{challenge("a", www, "t")}, "t", "10.32.3.80", answer{"t.a", AnsweredOtherHost}},
		{"no Host", []*acmev1.Challenge{challenge("a", www, "t")}, "t", "", answer{"t.a", AnsweredOtherHost}},
		{"another token", []*acmev1.Challenge{challenge("a", www, "t")}, "u", www, answer{"", UnknownToken}},
		{"an empty token", []*acmev1.Challenge{challenge("a", www, "")}, "", www, answer{"", UnknownToken}},
		{"DNS-01", []*acmev1.Challenge{challenge("a", www, "t", func(c *acmev1.Challenge) { c.Spec.Type = acmev1.ACMEChallengeTypeDNS01 })}, "t", www, answer{"", UnknownToken}},
		{"a key that is none", []*acmev1.Challenge{challenge("a", www, "t", func(c *acmev1.Challenge) { c.Spec.Key = strings.Repeat("k", maxKey+1) })}, "t", www, answer{"", UnknownToken}},
		{"valid, and still there", []*acmev1.Challenge{challenge("a", www, "t", state(acmev1.Valid))}, "t", www, answer{"t.a", Answered}},
		{"valid, another Host", []*acmev1.Challenge{challenge("a", www, "t", state(acmev1.Valid))}, "t", "10.32.3.80", answer{"", WrongHost}},
		{"on its way out", []*acmev1.Challenge{challenge("a", www, "t", deleting)}, "t", www, answer{"t.a", Answered}},
		{
			"two names, one token",
			[]*acmev1.Challenge{challenge("a", www, "t"), challenge("b", "evil.example", "t")},
			"t", www,
			answer{"t.a", Answered},
		},
		{
			"two names, one token, neither's Host",
			[]*acmev1.Challenge{challenge("a", www, "t"), challenge("b", "evil.example", "t")},
			"t", "10.32.3.80",
			answer{"", WrongHost},
		},
		{
			"two names, one token, one of them finished",
			[]*acmev1.Challenge{challenge("a", www, "t", later), challenge("b", "evil.example", "t", state(acmev1.Invalid))},
			"t", "10.32.3.80",
			answer{"t.a", AnsweredOtherHost},
		},
		{
			"a copy that is younger takes nothing away",
			[]*acmev1.Challenge{challenge("a", www, "t", later), challenge("b", www, "t")},
			"t", www,
			answer{"t.b", Answered},
		},
		{
			"a finished one makes room for a younger one",
			[]*acmev1.Challenge{challenge("a", www, "t", state(acmev1.Valid)), challenge("b", www, "t", later)},
			"t", www,
			answer{"t.b", Answered},
		},
		{
			"one on its way out makes room for a younger one",
			[]*acmev1.Challenge{challenge("a", www, "t", deleting), challenge("b", www, "t", later)},
			"t", www,
			answer{"t.b", Answered},
		},
		{
			"of the same second, the order is that of UIDs, on all replicas",
			[]*acmev1.Challenge{challenge("b", www, "t"), challenge("a", www, "t")},
			"t", www,
			answer{"t.a", Answered},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ask(table(tt.challenges...), tt.token, tt.host)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	for _, tt := range []struct{ domain, host string }{
		{"www.example.com", "www.example.com:80"},
		{"www.example.com", "WWW.Example.COM"},
		{"www.example.com", "www.example.com."},
		{"www.example.com", "www.example.com.:8080"},
		{"WWW.example.com.", "www.example.com"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"192.0.2.1", "192.0.2.1"},
		{"192.0.2.1", "192.0.2.1:80"},
		{"2001:db8::1", "[2001:db8::1]"},
		{"2001:db8::1", "[2001:db8::1]:80"},
		{"2001:db8::1", "[2001:0DB8:0:0::1]"},
		{"2001:db8::1", "2001:db8::1"},
	} {
		if got, want := ask(table(challenge("a", tt.domain, "t")), "t", tt.host), (answer{"t.a", Answered}); got != want {
			t.Errorf("%s for Host %s: got %v, want %v", tt.domain, tt.host, got, want)
		}
	}
	for _, tt := range []struct{ domain, host string }{
		{"www.example.com", "example.com"},
		{"www.example.com", "www.example.com.evil.example"},
		{"www.example.com", "www.example.com.."},
		{"www.example.com", ""},
		{"192.0.2.1", "192.0.2.10"},
		{"192.0.2.1", "192.0.2.01"},
		{"2001:db8::1", "[2001:db8::1%25eth0]"},
		{"2001:db8::1", "2001:db8::1:80"},
	} {
		// Another Challenge has the token, so that the Host decides.
		if got, want := ask(table(challenge("a", tt.domain, "t"), challenge("b", "other.example", "t")), "t", tt.host), (answer{"", WrongHost}); got != want {
			t.Errorf("%s for Host %s: got %v, want %v", tt.domain, tt.host, got, want)
		}
	}
}

func TestTableFollowsChallenges(t *testing.T) {
	const host = "www.example.com"
	pending := challenge("a", host, "t")
	tbl := table(pending)
	tbl.OnUpdate(pending, challenge("a", host, "t", state(acmev1.Valid)))
	if got, want := ask(tbl, "t", "10.0.0.1"), (answer{"", WrongHost}); got != want {
		t.Errorf("after its end: got %v, want %v", got, want)
	}
	// The API keeps a spec as it is; a cache may be of an API server that did not.
	changed := challenge("a", host, "u")
	tbl.OnUpdate(pending, changed)
	if got, want := ask(tbl, "t", host), (answer{"", UnknownToken}); got != want {
		t.Errorf("the former token: got %v, want %v", got, want)
	}
	if got, want := ask(tbl, "u", host), (answer{"u.a", Answered}); got != want {
		t.Errorf("the new token: got %v, want %v", got, want)
	}
	// An informer that has missed a deletion.
	tbl.OnUpdate(changed, challenge("b", host, "v"))
	for token, want := range map[string]answer{"u": {"", UnknownToken}, "v": {"v.b", Answered}} {
		if got := ask(tbl, token, host); got != want {
			t.Errorf("token %s of two objects of one name: got %v, want %v", token, got, want)
		}
	}
	tbl.OnDelete(cache.DeletedFinalStateUnknown{Key: "lab/b", Obj: challenge("b", host, "older")})
	tbl.OnDelete(challenge("unknown", host, "t"))
	if len(tbl.byUID)+len(tbl.byToken)+len(tbl.byName) != 0 {
		t.Errorf("after all are gone, there is still %v, %v, %v", tbl.byUID, tbl.byToken, tbl.byName)
	}
}

func TestRequestsAddNothing(t *testing.T) {
	tbl := table(challenge("a", "www.example.com", "t"))
	for i := range 1000 {
		tbl.Answer(fmt.Sprintf("unknown-%d", i), fmt.Sprintf("host-%d", i))
		tbl.Answer("t", fmt.Sprintf("host-%d", i))
	}
	if len(tbl.byUID) != 1 || len(tbl.byToken) != 1 || len(tbl.byName) != 1 {
		t.Errorf("the table has %d, %d and %d entries, want 1 of each", len(tbl.byUID), len(tbl.byToken), len(tbl.byName))
	}
}

func TestSeen(t *testing.T) {
	const host = "www.example.com"
	clock := clocktesting.NewFakePassiveClock(now)
	tbl := NewTable(clock)
	c := challenge("a", host, "t")
	tbl.OnAdd(c, false)
	seen := func(want Sighting, wantAny bool) {
		t.Helper()
		got, any := tbl.Seen("a")
		if diff := cmp.Diff(want, got); diff != "" || any != wantAny {
			t.Errorf("seen: %v, want %v; -want +got:\n%s", any, wantAny, diff)
		}
	}
	seen(Sighting{}, false)
	if !tbl.Knows("a") || tbl.Knows("b") {
		t.Error("it knows another Challenge than the one that it has")
	}
	tbl.Answer("unknown", host)
	seen(Sighting{}, false)
	tbl.Answer("t", "10.32.3.80:8089")
	seen(Sighting{Misdirected: now, Host: "10.32.3.80:8089", Accepted: true}, true)
	clock.SetTime(now.Add(time.Minute))
	tbl.Answer("t", host)
	want := Sighting{Answered: now.Add(time.Minute), Misdirected: now, Host: "10.32.3.80:8089", Accepted: true}
	seen(want, true)
	// What was seen outlives changes of the Challenge, but not the Challenge.
	tbl.OnUpdate(c, challenge("a", host, "t", state(acmev1.Invalid)))
	seen(want, true)
	tbl.Answer("t", "a\x00b<script>é"+string(make([]byte, 1000)))
	got, _ := tbl.Seen("a")
	if len(got.Host) > maxHost || got.Host[:12] != "a?b?script??" || got.Accepted {
		t.Errorf("a hostile Host is shown as %+v", got)
	}
	tbl.OnDelete(c)
	seen(Sighting{}, false)
	if tbl.Knows("a") {
		t.Error("it knows a Challenge that is gone")
	}
}
