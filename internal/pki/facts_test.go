package pki

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var everything = Template{
	CommonName: "a.test",
	Subject: Subject{
		Organizations: []string{`say "hi"`, "Ex, Inc."}, Countries: []string{"DE"}, OrganizationalUnits: []string{"U"},
		Localities: []string{"L"}, Provinces: []string{"P"}, StreetAddresses: []string{"S 1"}, PostalCodes: []string{"1"},
		SerialNumber: "7,8",
	},
	DNSNames: []string{"a.test", "*.a.test"}, IPAddresses: []string{"10.0.0.1", "2001:db8::1"},
	URIs: []string{"spiffe://a.test/x,y"}, EmailAddresses: []string{"x@a.test"},
}

func TestFactsOf(t *testing.T) {
	root := newAuthority(t, "root", nil, KeySpec{Algorithm: ECDSA})
	key := mustKey(t, KeySpec{Algorithm: ECDSA, Size: 384})
	cert := issue(t, everything, key, root, SignOptions{NotBefore: start, NotAfter: end, Usages: []string{"server auth", "signing"}})
	want := LeafFacts{
		CommonName: "a.test", Subject: everything.Subject, DNSNames: everything.DNSNames, IPAddresses: everything.IPAddresses,
		URIs: everything.URIs, EmailAddresses: everything.EmailAddresses,
		NotBefore: time.Date(2026, 11, 22, 5, 9, 5, 0, time.UTC), NotAfter: time.Date(2027, 2, 20, 5, 9, 5, 0, time.UTC),
		Key:       KeySpec{Algorithm: ECDSA, Size: 384},
		KeyDigest: DigestOf(key.Public()), Digest: sha256.Sum256(cert.Raw), CertID: CertID(cert),
	}
	if diff := cmp.Diff(want, FactsOf(cert)); diff != "" {
		t.Error(diff)
	}
}

func TestRenewalTime(t *testing.T) {
	from := time.Date(2026, 11, 22, 5, 9, 5, 0, time.UTC)
	before := func(d time.Duration) *time.Duration { return &d }
	percent := func(p int32) *int32 { return &p }
	for name, tc := range map[string]struct {
		lifetime time.Duration
		before   *time.Duration
		percent  *int32
		// left is the remaining time at renewal.
		left time.Duration
	}{
		"a third":                   {90 * 24 * time.Hour, nil, nil, 30 * 24 * time.Hour},
		"a third, cut to a second":  {100 * time.Second, nil, nil, 34 * time.Second},
		"as recorded with ACME":     {90*24*time.Hour - time.Second, nil, nil, 30 * 24 * time.Hour},
		"before":                    {time.Hour, before(7 * time.Minute), nil, 7 * time.Minute},
		"before wins":               {time.Hour, before(7 * time.Minute), percent(50), 7 * time.Minute},
		"before as long as life":    {time.Hour, before(time.Hour), nil, 20 * time.Minute},
		"before of nothing":         {time.Hour, before(0), percent(50), 30 * time.Minute},
		"percentage":                {time.Hour, nil, percent(10), 6 * time.Minute},
		"percentage out of range":   {time.Hour, nil, percent(100), 20 * time.Minute},
		"percentage of a long life": {100 * 365 * 24 * time.Hour, nil, percent(99), 99 * 365 * 24 * time.Hour},
	} {
		to := from.Add(tc.lifetime)
		if got, want := RenewalTime(from, to, tc.before, tc.percent), to.Add(-tc.left); !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}
