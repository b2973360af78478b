package injectable

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/pki"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

var from = Source{KindSecret, key("ns", "ca")}

// made returns n CAs in PEM that are valid for a time from now, as their subjects say.
func made(t testing.TB, n int, valid time.Duration) []string {
	t.Helper()
	signer, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i := range n {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: fmt.Sprintf("%s %d", valid, i)},
			NotBefore: now.Add(-1000 * time.Hour), NotAfter: now.Add(valid), IsCA: true, BasicConstraintsValid: true,
		}
		cert, err := pki.Sign(template, template, signer.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(pki.EncodeChain(cert)))
	}
	return all
}

func TestInject(t *testing.T) {
	const hour = time.Hour
	old, ca, other := made(t, 1, 2*hour)[0], made(t, 1, 5*hour)[0], made(t, 1, 3*hour)[0]
	expired := made(t, 1, -time.Second)[0]
	at := func(d time.Duration) time.Time { return now.Add(d + time.Second) }
	commented := "# our root\nSubject: x\n" + strings.TrimSuffix(strings.ReplaceAll(ca, "\n", "\r\n"), "\r\n")
	key := "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"
	broken := "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	tests := []struct {
		name, current, ca, want string
		next                    time.Time
		same                    bool
	}{
		{name: "fresh", ca: ca, want: ca, next: at(5 * hour)},
		{name: "fresh, several", ca: ca + other, want: ca + other, next: at(3 * hour)},
		{name: "fresh, with comments: as it is", ca: commented, want: commented, next: at(5 * hour)},
		{name: "fresh, one has expired", ca: expired + ca, want: ca, next: at(5 * hour)},
		{name: "fresh, twice the same", ca: ca + ca, want: ca, next: at(5 * hour)},
		{name: "as it should be", current: ca, ca: ca, want: ca, next: at(5 * hour), same: true},
		{name: "as it should be, with comments", current: commented, ca: ca, want: commented, next: at(5 * hour), same: true},
		{name: "new CA: old, then new", current: old, ca: ca, want: old + ca, next: at(2 * hour)},
		{name: "new CA again", current: old + ca, ca: other, want: old + ca + other, next: at(2 * hour)},
		{name: "old CA comes back: order stays", current: old + ca, ca: old, want: old + ca, next: at(2 * hour), same: true},
		{name: "comments of the old go", current: "# x\n\n" + old + "\n\n", ca: ca, want: old + ca, next: at(2 * hour)},
		{name: "expired goes", current: expired + ca, ca: ca, want: ca, next: at(5 * hour)},
		{name: "expired goes, new comes", current: expired, ca: ca, want: ca, next: at(5 * hour)},
		{name: "twice the same goes", current: ca + ca, ca: ca, want: ca, next: at(5 * hour)},
		{name: "twice the same, mixed", current: ca + old + ca, ca: old + other, want: ca + old + other, next: at(2 * hour)},
		{name: "a placeholder", current: "\n", ca: ca, want: ca, next: at(5 * hour)},
		{name: "garbage: the CA as it is", current: "garbage", ca: commented, want: commented, next: at(5 * hour)},
		{name: "a key in the bundle", current: old + key, ca: ca, want: ca, next: at(5 * hour)},
		{name: "a broken certificate in the bundle", current: old + broken, ca: ca, want: ca, next: at(5 * hour)},
		{name: "text after the last certificate", current: old + "garbage", ca: ca, want: old + ca, next: at(2 * hour)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Inject(from, []Entry{{Name: "w", Bundle: []byte(test.current)}}, []byte(test.ca), now)
			if err != nil {
				t.Fatal(err)
			}
			want := Injection{Entries: []Entry{{"w", []byte(test.want)}}, Changed: []string{"w"}, Next: test.next}
			if test.same {
				want.Changed = nil
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			again, err := Inject(from, got.Entries, []byte(test.ca), now)
			if err != nil || len(again.Changed) > 0 {
				t.Errorf("injected again, it changes: %v, %v", again.Changed, err)
			}
		})
	}
}

func TestInjectIntoSeveral(t *testing.T) {
	old, ca := made(t, 1, 2*time.Hour)[0], made(t, 1, 5*time.Hour)[0]
	got, err := Inject(from, []Entry{{"a", []byte(old)}, {"b", []byte(ca)}, {"c", nil}}, []byte(ca), now)
	if err != nil {
		t.Fatal(err)
	}
	want := Injection{
		Entries: []Entry{{"a", []byte(old + ca)}, {"b", []byte(ca)}, {"c", []byte(ca)}},
		Changed: []string{"a", "c"}, Next: now.Add(2*time.Hour + time.Second),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, err := Inject(from, nil, []byte(ca), now); err != nil || len(got.Changed) > 0 {
		t.Errorf("without entries: %+v, %v", got, err)
	}
}

func TestNothingToInject(t *testing.T) {
	ca, expired := made(t, 1, time.Hour)[0], made(t, 1, -time.Second)[0]
	for name, test := range map[string]struct{ ca, want string }{
		"expired":    {expired, "the CA of Secret ns/ca has expired"},
		"garbage":    {"garbage", "the CA of Secret ns/ca cannot be read: no PEM data was found in given input"},
		"half of it": {ca[:len(ca)/2], "the CA of Secret ns/ca cannot be read: no PEM data was found in given input"},
		"a key":      {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", `the CA of Secret ns/ca cannot be read: PEM block is of type "PRIVATE KEY", not "CERTIFICATE"`},
		"too large":  {strings.Repeat(ca, 1000), "the CA of Secret ns/ca cannot be read: provided PEM data was larger than the maximum 330000B"},
	} {
		_, err := Inject(from, []Entry{{Name: "w", Bundle: []byte(ca)}}, []byte(test.ca), now)
		if diff := cmp.Diff(nothing("%s", test.want), err); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

// TestBundleIsBounded: the oldest certificates make room, those of the CA do not.
func TestBundleIsBounded(t *testing.T) {
	many := made(t, maxCertificates+5, time.Hour)
	ca := many[maxCertificates+4] + many[0]
	got, err := Inject(from, []Entry{{Bundle: []byte(strings.Join(many[:maxCertificates], ""))}}, []byte(ca), now)
	if err != nil {
		t.Fatal(err)
	}
	want := many[0] + strings.Join(many[2:maxCertificates], "") + many[maxCertificates+4]
	if string(got.Entries[0].Bundle) != want {
		t.Errorf("got %d certificates, or others", strings.Count(string(got.Entries[0].Bundle), "BEGIN"))
	}
	if again, err := Inject(from, got.Entries, []byte(ca), now); err != nil || len(again.Changed) > 0 {
		t.Errorf("injected again, it changes: %v", err)
	}
	// A CA that has more than that by itself is injected as it is.
	all := []byte(strings.Join(many, ""))
	if got, err := Inject(from, []Entry{{Bundle: []byte(many[0])}}, all, now); err != nil || !bytes.Equal(got.Entries[0].Bundle, all) {
		t.Errorf("a large CA: %v", err)
	}
}

// TestObjectIsBounded: many webhooks with many certificates fit into etcd together, and
// each keeps the newest.
func TestObjectIsBounded(t *testing.T) {
	many := made(t, maxCertificates+1, time.Hour)
	ca := many[maxCertificates]
	var entries []Entry
	for i := range 40 {
		entries = append(entries, Entry{fmt.Sprint(i), []byte(strings.Join(many[:maxCertificates], ""))})
	}
	got, err := Inject(from, entries, []byte(ca), now)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, e := range got.Entries {
		total += len(base64.StdEncoding.EncodeToString(e.Bundle))
		if !strings.HasSuffix(strings.Join(many, ""), string(e.Bundle)) || !strings.HasSuffix(string(e.Bundle), many[maxCertificates-1]+ca) {
			t.Fatalf("webhook %s has not the newest certificates", e.Name)
		}
	}
	if total > 1<<20 {
		t.Errorf("the object has %d bytes", total)
	}
	if again, err := Inject(from, got.Entries, []byte(ca), now); err != nil || len(again.Changed) > 0 {
		t.Errorf("injected again, it changes: %v", err)
	}
}

// FuzzInject: whatever is in the bundle and in the CA, the second injection changes
// nothing.
func FuzzInject(f *testing.F) {
	ca, old := made(f, 1, time.Hour)[0], made(f, 1, 2*time.Hour)[0]
	f.Add([]byte(old), []byte(ca))
	f.Add([]byte("\n"), []byte(ca+old))
	f.Add([]byte(nil), []byte("# x\n"+ca+"\n"+ca))
	f.Add([]byte(ca+"garbage"), []byte(old[:40]+ca))
	f.Fuzz(func(t *testing.T, current, ca []byte) {
		first, err := Inject(from, []Entry{{"w", current}}, ca, now)
		if err != nil {
			return
		}
		if len(first.Entries) != 1 || first.Next.Before(now) {
			t.Fatalf("%+v", first)
		}
		second, err := Inject(from, first.Entries, ca, now)
		if err != nil || len(second.Changed) > 0 {
			t.Fatalf("the second injection changes it: %v, %v", second, err)
		}
	})
}
