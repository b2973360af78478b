package vault

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/everleaf/everleaf/internal/pki"
)

func TestOrder(t *testing.T) {
	s := newSigner(t)
	leaf := issue(t, pki.Template{CommonName: "leaf"}, newKey(t), s.middle, s.middleKey, valid(false))
	otherRootKey := newKey(t)
	otherRoot := issue(t, pki.Template{CommonName: "other root"}, otherRootKey, nil, nil, valid(true))
	// The root, signed by another root, as after the renewal of a root.
	crossed := issue(t, pki.Template{CommonName: "root"}, s.rootKey, otherRoot, otherRootKey, valid(true))
	direct := issue(t, pki.Template{CommonName: "direct"}, newKey(t), s.root, s.rootKey, valid(false))
	for name, test := range map[string]struct {
		leaf, issuing string
		chain         []string
		want          []string
		ca            string
		broken        bool
	}{
		"in order":           {encode(leaf), encode(s.middle), []string{encode(s.middle), encode(s.root)}, []string{"leaf", "middle"}, "root", false},
		"shuffled, repeated": {encode(leaf), encode(s.middle), []string{encode(s.root), encode(s.middle), encode(s.root)}, []string{"leaf", "middle"}, "root", false},
		"one text":           {encode(leaf), encode(s.middle), []string{encode(s.middle, s.root)}, []string{"leaf", "middle"}, "root", false},
		"leaf in it":         {encode(leaf, s.middle), encode(s.middle), []string{encode(leaf), encode(s.root)}, []string{"leaf", "middle"}, "root", false},
		"root not imported":  {encode(leaf), encode(s.middle), []string{encode(s.middle)}, []string{"leaf", "middle"}, "middle", false},
		"no chain":           {encode(leaf), encode(s.middle), nil, []string{"leaf", "middle"}, "middle", false},
		"nothing":            {encode(leaf), "", nil, []string{"leaf"}, "", false},
		"below the root":     {encode(direct), encode(s.root), nil, []string{"direct"}, "root", false},
		"crossed": {
			encode(leaf), encode(s.middle),
			[]string{encode(s.middle), encode(s.root), encode(crossed), encode(otherRoot)},
			[]string{"leaf", "middle"},
			"root", false,
		},
		"crossed, other way": {
			encode(leaf), encode(s.middle),
			[]string{encode(s.middle), encode(crossed), encode(otherRoot)},
			[]string{"leaf", "middle", "root"},
			"other root", false,
		},
		"of another": {encode(leaf), encode(otherRoot), nil, nil, "", true},
		"nonsense":   {encode(leaf), "nonsense", nil, nil, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			var a answered
			a.Data.Certificate, a.Data.IssuingCA, a.Data.CAChain = test.leaf, test.issuing, test.chain
			chain, ca, err := order(a, pki.Limits{})
			if test.broken {
				if err == nil {
					t.Error("no error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			same(t, "chain", test.want, names(t, pki.EncodeChain(chain...)))
			got := ""
			if ca != nil {
				got = ca.Subject.CommonName
			}
			same(t, "CA", test.ca, got)
		})
	}
	var a answered
	a.Data.Certificate, a.Data.IssuingCA = encode(leaf), encode(otherRoot)
	if _, _, err := order(a, pki.Limits{}); !errors.Is(err, pki.ErrBrokenChain) {
		t.Errorf("error %v", err)
	}
	for range maxChain + 1 {
		a.Data.CAChain = append(a.Data.CAChain, encode(s.root))
	}
	if _, _, err := order(a, pki.Limits{}); err == nil {
		t.Error("takes any number of certificates")
	}
}

// FuzzAnswer: whatever a server answers, there is an error or a chain with the leaf first.
func FuzzAnswer(f *testing.F) {
	s := newSigner(f)
	key := newKey(f)
	leaf := issue(f, pki.Template{CommonName: "leaf"}, key, s.middle, s.middleKey, valid(false))
	f.Add([]byte(s.answer(leaf, "")))
	f.Add([]byte(`{"data":{"certificate":"x","ca_chain":["y"]}}`))
	f.Add([]byte(`{"data":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var a answered
		if json.Unmarshal(text, &a) != nil {
			return
		}
		chain, ca, err := order(a, pki.Limits{})
		if err != nil {
			return
		}
		first, err := pki.ParseCertificate([]byte(a.Data.Certificate), pki.Limits{})
		if err != nil || len(chain) == 0 || !chain[0].Equal(first) {
			t.Fatalf("chain of %d, error %v", len(chain), err)
		}
		if ca != nil && len(chain) > 1 && pki.SelfSigned(chain[len(chain)-1]) {
			t.Error("the chain has a root")
		}
	})
}

// FuzzSentences: what is shown of a server's texts is one bounded line without the secret.
func FuzzSentences(f *testing.F) {
	f.Add("2 errors occurred:\n\t* a\n\t* hunter2\n")
	f.Add("\x00\xff\u2028")
	f.Fuzz(func(t *testing.T, text string) {
		got := sentences([]string{text, text}, []string{"hunter2"})
		if len(got) > maxTexts*(maxText+2) {
			t.Errorf("%d bytes", len(got))
		}
		for _, r := range got {
			if r < ' ' {
				t.Errorf("%q", got)
			}
		}
	})
}
