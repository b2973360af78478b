package pki

import (
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestTemporary signs certificates that nobody has to trust.
func TestTemporary(t *testing.T) {
	key := mustKey(t, KeySpec{Algorithm: ECDSA})
	ca := everything
	ca.NameConstraints = &NameConstraints{Critical: true, Permitted: NameSubtrees{DNSDomains: []string{"a.test"}}}
	ca.IsCA, ca.Usages, ca.Duration = true, []string{"cert sign", "server auth"}, time.Hour
	for name, in := range map[string]Template{"a leaf": everything, "a CA": ca} {
		encoded, err := Temporary(in, key, start, Limits{})
		if err != nil {
			t.Fatal(name, err)
		}
		chain, err := ParseChain(encoded, Limits{})
		if err != nil || len(chain) != 1 {
			t.Fatalf("%s: a chain of %d: %v", name, len(chain), err)
		}
		duration := in.Duration
		if duration == 0 {
			duration = DefaultDuration
		}
		want := LeafFacts{
			CommonName: "a.test", Subject: everything.Subject, DNSNames: everything.DNSNames, IPAddresses: everything.IPAddresses,
			URIs: everything.URIs, EmailAddresses: everything.EmailAddresses,
			NotBefore: start.Truncate(time.Second), NotAfter: start.Add(duration).Truncate(time.Second),
			Key:       KeySpec{Algorithm: ECDSA, Size: 256},
			KeyDigest: DigestOf(key.Public()), Digest: sha256.Sum256(chain[0].Raw), CertID: CertID(chain[0]), Temporary: true,
		}
		if diff := cmp.Diff(want, FactsOf(chain[0])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if chain[0].IsCA || SelfSigned(chain[0]) {
			t.Errorf("%s: a CA (%t), or signed by its own key", name, chain[0].IsCA)
		}
	}
	if _, err := Temporary(Template{DNSNames: slices.Repeat([]string{"a.test"}, 10)}, key, start, Limits{MaxCertificateSize: 20}); err == nil {
		t.Error("a certificate that is larger than what is read")
	}
}
