package v1

import "testing"

func TestIssuerReferenceEqual(t *testing.T) {
	tests := map[string]struct {
		a, b IssuerReference
		want bool
	}{
		"same":              {IssuerReference{"a", "Issuer", "cert-manager.io"}, IssuerReference{"a", "Issuer", "cert-manager.io"}, true},
		"defaults":          {IssuerReference{"a", "", ""}, IssuerReference{"a", "Issuer", "cert-manager.io"}, true},
		"default kind":      {IssuerReference{"a", "", "b.example"}, IssuerReference{"a", "Issuer", "b.example"}, true},
		"default group":     {IssuerReference{"a", "ClusterIssuer", ""}, IssuerReference{"a", "ClusterIssuer", "cert-manager.io"}, true},
		"other name":        {IssuerReference{"a", "", ""}, IssuerReference{"b", "", ""}, false},
		"other kind":        {IssuerReference{"a", "", ""}, IssuerReference{"a", "ClusterIssuer", ""}, false},
		"other group":       {IssuerReference{"a", "", ""}, IssuerReference{"a", "", "b.example"}, false},
		"kind in lowercase": {IssuerReference{"a", "issuer", ""}, IssuerReference{"a", "Issuer", ""}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.a.Equal(test.b); got != test.want {
				t.Errorf("Equal(%+v, %+v) = %v", test.a, test.b, got)
			}
			if got := test.b.Equal(test.a); got != test.want {
				t.Errorf("Equal(%+v, %+v) = %v", test.b, test.a, got)
			}
		})
	}
}
