package injectable

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

const (
	fromSecret = "cert-manager.io/inject-ca-from-secret"
	fromCert   = "cert-manager.io/inject-ca-from"
	fromServer = "cert-manager.io/inject-apiserver-ca"
	allow      = "cert-manager.io/allow-direct-injection"
	certName   = "cert-manager.io/certificate-name"
)

func key(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

func TestSourceOf(t *testing.T) {
	type annotations = map[string]string
	for _, test := range []struct {
		name        string
		annotations annotations
		want        Source
		err         error
	}{
		{"none", annotations{"other": "x"}, Source{}, ErrNoSource},
		{"Secret", annotations{fromSecret: "ns/s"}, Source{KindSecret, key("ns", "s")}, nil},
		{"Certificate", annotations{fromCert: "ns/c"}, Source{KindCertificate, key("ns", "c")}, nil},
		{"API server", annotations{fromServer: "true"}, Source{Kind: KindAPIServer}, nil},
		{"all", annotations{fromSecret: "ns/s", fromCert: "ns/c", fromServer: "true"}, Source{KindSecret, key("ns", "s")}, nil},
		{"two", annotations{fromCert: "ns/c", fromServer: "true"}, Source{KindCertificate, key("ns", "c")}, nil},
		{"the first decides even if it is wrong", annotations{fromSecret: "", fromCert: "ns/c"}, Source{}, nothing(`the annotation cert-manager.io/inject-ca-from-secret has the value "": set it to <namespace>/<name> of a Secret`)},
		{"no slash", annotations{fromCert: "c"}, Source{}, nothing(`the annotation cert-manager.io/inject-ca-from has the value "c": set it to <namespace>/<name> of a Certificate`)},
		{"no name", annotations{fromCert: "ns/"}, Source{}, nothing(`the annotation cert-manager.io/inject-ca-from has the value "ns/": set it to <namespace>/<name> of a Certificate`)},
		{"no namespace", annotations{fromCert: "/c"}, Source{}, nothing(`the annotation cert-manager.io/inject-ca-from has the value "/c": set it to <namespace>/<name> of a Certificate`)},
		{"two slashes", annotations{fromSecret: "a/b/c"}, Source{}, nothing(`the annotation cert-manager.io/inject-ca-from-secret has the value "a/b/c": set it to <namespace>/<name> of a Secret`)},
		{"API server, not so", annotations{fromServer: "True"}, Source{}, nothing(`the annotation cert-manager.io/inject-apiserver-ca has the value "True": set it to "true"`)},
	} {
		got, err := SourceOf(test.annotations)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.name, diff)
		}
		if diff := cmp.Diff(test.err, err, cmp.Comparer(func(a, b error) bool { return a.Error() == b.Error() })); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.name, diff)
		}
		if Asks(test.annotations) == errors.Is(test.err, ErrNoSource) {
			t.Errorf("%s: Asks returns %t", test.name, Asks(test.annotations))
		}
	}
}

func TestScope(t *testing.T) {
	secret, server := Source{KindSecret, key("a", "s")}, Source{Kind: KindAPIServer}
	for _, test := range []struct {
		name   string
		scope  Scope
		source Source
		want   error
	}{
		{"all", Scope{}, secret, nil},
		{"the one", Scope{Namespace: "a"}, secret, nil},
		{"another", Scope{Namespace: "b"}, secret, nothing("Secret a/s is not in namespace b, the only one that --namespace allows")},
		{"ignored", Scope{Ignored: []string{"x", "a"}}, secret, nothing("Secret a/s is in a namespace that --ignore-namespaces excludes")},
		{"others are ignored", Scope{Ignored: []string{"x"}}, secret, nil},
		{"API server", Scope{Namespace: "b"}, server, nil},
	} {
		if diff := cmp.Diff(test.want, test.scope.Check(test.source)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.name, diff)
		}
	}
}

func TestAllowed(t *testing.T) {
	type annotations = map[string]string
	s, c := Source{KindSecret, key("ns", "s")}, Source{KindCertificate, key("ns", "c")}
	for _, test := range []struct {
		name        string
		source      Source
		annotations annotations
		want        error
	}{
		{"Secret", s, annotations{allow: "true"}, nil},
		{"Secret without", s, annotations{certName: "c"}, nothing(`Secret ns/s does not allow it: set its annotation cert-manager.io/allow-direct-injection to "true"`)},
		{"Secret that refuses", s, annotations{allow: "false"}, nothing(`Secret ns/s does not allow it: its annotation cert-manager.io/allow-direct-injection has the value "false", not "true"`)},
		{"Certificate", c, annotations{certName: "c"}, nil},
		{"Certificate not issued", c, annotations{allow: "true"}, nothing("Secret ns/s of Certificate ns/c has not been issued yet: it lacks the annotation cert-manager.io/certificate-name")},
		{"Secret of another", c, annotations{certName: "d"}, nothing("Secret ns/s of Certificate ns/c belongs to Certificate d, says its annotation cert-manager.io/certificate-name")},
	} {
		if diff := cmp.Diff(test.want, Allowed(test.source, key("ns", "s"), test.annotations)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.name, diff)
		}
	}
}

func TestReasons(t *testing.T) {
	s, c := Source{KindSecret, key("ns", "s")}, Source{KindCertificate, key("ns", "c")}
	_, none := AuthorityIn(key("ns", "s"), map[string][]byte{"tls.crt": []byte("x"), "ca.crt": {}})
	for want, err := range map[string]error{
		"Certificate ns/c does not exist":                    Missing(c),
		"Secret ns/s does not exist":                         MissingSecret(s, key("ns", "s")),
		"Secret ns/s of Certificate ns/c does not exist yet": MissingSecret(c, key("ns", "s")),
		"Secret ns/s has no ca.crt":                          none,
	} {
		if diff := cmp.Diff(nothing("%s", want), err); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	if ca, err := AuthorityIn(key("ns", "s"), map[string][]byte{"ca.crt": []byte("x")}); err != nil || string(ca) != "x" {
		t.Errorf("%s, %v", ca, err)
	}
}
