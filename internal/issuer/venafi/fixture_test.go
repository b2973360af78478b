package venafi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
	server "github.com/everleaf/everleaf/test/venafi"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// store are Secrets by name; an error is what reading one ends with.
type store map[string]any

func (s store) Version(_, name string) string { return fmt.Sprint(s[name]) }

func (s store) Live(_ context.Context, _, name string) (*corev1.Secret, error) {
	switch v := s[name].(type) {
	case map[string]string:
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{ResourceVersion: s.Version("", name)}, Data: map[string][]byte{}}
		for key, value := range v {
			secret.Data[key] = []byte(value)
		}
		return secret, nil
	case error:
		return nil, v
	default:
		return nil, nil
	}
}

// lab is a Type with its server.
type lab struct {
	*Type
	t      *testing.T
	server *server.Server
	store  store
	clock  *clocktesting.FakePassiveClock
	// counted are the calls about credentials: succeeded and failed; timed the others.
	counted [2]int
	timed   []string
	mu      sync.Mutex
	spec    *cmv1.IssuerSpec
	// annotations are the issuer's.
	annotations map[string]string
}

// The issuers of each backend, with the Secrets credentials and ca.
func ofTPP(s *server.Server) *cmv1.VenafiIssuer {
	return &cmv1.VenafiIssuer{Zone: `Kube\web`, TPP: &cmv1.VenafiTPP{URL: s.URL + "/vedsdk", CredentialsRef: cmmeta.LocalObjectReference{Name: "credentials"}, CABundle: s.CA}}
}

func newLab(t *testing.T, spec func(*server.Server) *cmv1.VenafiIssuer, credentials map[string]string) *lab {
	t.Helper()
	l := &lab{t: t, server: server.New(t), clock: clocktesting.NewFakePassiveClock(time.Now().Truncate(time.Second))}
	l.store = store{"credentials": credentials, "ca": map[string]string{"ca.crt": string(l.server.CA)}}
	l.spec = &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Venafi: spec(l.server)}}
	l.Type = New(l.store, Config{
		UserAgent: "everleaf", Clock: l.clock, HTTP: l.server.Client(),
		Observe: func(ok bool, _ time.Duration) {
			if ok {
				l.counted[0]++
			} else {
				l.counted[1]++
			}
		},
		ObserveCall: func(call string, _ time.Duration) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.timed = append(l.timed, call)
		},
	})
	return l
}

func (l *lab) check() (issuer.Status, error) {
	return l.Check(l.t.Context(), issuer.Issuer{UID: "uid", Name: types.NamespacedName{Namespace: "ns", Name: "i"}, Namespace: "ns", Spec: l.spec, Now: l.clock.Now()})
}

// ask is a request of a Certificate.
func (l *lab) ask(wanted pki.Template, spec pki.KeySpec) issuer.Request {
	l.t.Helper()
	key, err := pki.GenerateKey(spec)
	if err != nil {
		l.t.Fatal(err)
	}
	csr, err := pki.BuildRequest(wanted, key, pki.Limits{})
	if err != nil {
		l.t.Fatal(err)
	}
	return issuer.Request{
		CSR: csr, Kind: "CertificateRequest", Name: "web-1", Annotations: map[string]string{}, Created: l.clock.Now(),
		Issuer: l.spec, IssuerUID: "uid", IssuerName: types.NamespacedName{Namespace: "ns", Name: "i"}, IssuerAnnotations: l.annotations, Namespace: "ns", Now: l.clock.Now(),
	}
}

func (l *lab) usual() issuer.Request {
	return l.ask(pki.Template{CommonName: "web.example.com", DNSNames: []string{"web.example.com"}}, pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
}

// requested makes a request at the server and returns it with the server's name for it.
func (l *lab) requested(r issuer.Request) issuer.Request {
	l.t.Helper()
	got, err := l.Sign(l.t.Context(), r)
	if err != nil || got.Pending == nil {
		l.t.Fatalf("got %+v, error %v", got, err)
	}
	r.Annotations = got.Pending.Annotations
	return r
}

// delivered looks for the certificate of a request.
func (l *lab) delivered(r issuer.Request) request.Outcome {
	l.t.Helper()
	got, err := l.Sign(l.t.Context(), r)
	if err != nil || got.Pending != nil {
		l.t.Fatalf("got %+v, error %v", got.Pending, err)
	}
	return got
}

// checkFault holds class, reason and message of an error. A message may end in "…".
func checkFault(t *testing.T, name string, err error, class fault.Class, reason, message string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Errorf("%s: error %v", name, err)
		return
	}
	text := f.Message
	if start, open := strings.CutSuffix(message, "…"); open && strings.HasPrefix(text, start) {
		text = message
	}
	if diff := cmp.Diff([]string{class.String(), reason, message}, []string{f.Class.String(), f.Reason, text}); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
	for _, secret := range []string{server.Token, server.Password, server.APIKey, server.NGTSSecret, "hunter2"} {
		if strings.Contains(f.Message, secret) {
			t.Errorf("%s: the message has a secret: %s", name, f.Message)
		}
	}
}
