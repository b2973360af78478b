package solverwebhook

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
)

const (
	apiGroup = "acme.example.org"
	path     = "/apis/" + apiGroup + "/v1alpha1/example"
	asker    = "system:serviceaccount:cert-manager:everleaf"
)

// scripted is a solver whose methods are a function.
type scripted struct {
	solve func(ctx context.Context, r *v1alpha1.ChallengeRequest) error
}

func (s *scripted) Name() string { return "example" }

func (s *scripted) Present(ctx context.Context, r *v1alpha1.ChallengeRequest) error {
	return s.solve(ctx, r)
}

func (s *scripted) CleanUp(ctx context.Context, r *v1alpha1.ChallengeRequest) error {
	return s.solve(ctx, r)
}

// signer is a proxy authority of an API server.
type signer struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  string
}

func issue(t *testing.T, template, parent *x509.Certificate, by crypto.Signer) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotAfter = template.NotBefore.Add(48 * time.Hour)
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	cert, key := issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "proxy"}, NotBefore: time.Now().Add(-24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	return &signer{cert: cert, key: key, pem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))}
}

// proxy returns a client with a certificate of the authority.
func (s *signer) proxy(t *testing.T, name string, from time.Time) *http.Client {
	t.Helper()
	cert, key := issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: from, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, s.cert, s.key)
	return clientWith(t, tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key})
}

func clientWith(t *testing.T, certificates ...tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certificates}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// world is a solver webhook with an API server that is faked.
type world struct {
	t      *testing.T
	url    string
	client *fake.Clientset
	server *server

	mu sync.Mutex
	// reviews are what the API server has been asked for; deny and failure are its
	// answers.
	reviews []authorizationv1.SubjectAccessReviewSpec
	deny    bool
	failure error
	stop    context.CancelFunc
	ended   chan error
}

func newWorld(t *testing.T, authority *signer, solve func(context.Context, *v1alpha1.ChallengeRequest) error) *world {
	t.Helper()
	w := prepared(t, authority, solve)
	w.start()
	w.eventually(func() bool { return w.server.trust.ready() == "" })
	return w
}

// prepared is a world that has not been started.
func prepared(t *testing.T, authority *signer, solve func(context.Context, *v1alpha1.ChallengeRequest) error) *world {
	t.Helper()
	w := &world{t: t, client: fake.NewClientset(proxyConfig(authority)), ended: make(chan error, 1)}
	w.client.PrependReactor("create", "subjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview).DeepCopy()
		w.reviews = append(w.reviews, review.Spec)
		review.Status.Allowed = !w.deny
		return true, review, w.failure
	})
	w.client.PrependReactor("create", "selfsubjectreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, &authenticationv1.SelfSubjectReview{Status: authenticationv1.SelfSubjectReviewStatus{
			UserInfo: authenticationv1.UserInfo{Username: "system:serviceaccount:dns:solver"},
		}}, nil
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.url = "https://" + listener.Addr().String()
	w.server, err = newServer(Options{GroupName: apiGroup, Listener: listener}, w.client, []Solver{&scripted{solve}})
	if err != nil {
		t.Fatal(err)
	}
	w.server.trust.recheck = time.Millisecond
	return w
}

func (w *world) start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	go func() {
		w.ended <- w.server.run(ctx)
		close(w.ended)
	}()
	w.t.Cleanup(func() {
		cancel()
		if err := <-w.ended; err != nil {
			w.t.Error(err)
		}
	})
}

func proxyConfig(authority *signer) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: proxyNamespace, Name: proxyConfigMap},
		Data: map[string]string{
			"requestheader-client-ca-file":       authority.pem,
			"requestheader-allowed-names":        `["front-proxy-client"]`,
			"requestheader-username-headers":     `["X-Remote-User"]`,
			"requestheader-group-headers":        `["X-Remote-Group"]`,
			"requestheader-extra-headers-prefix": `["X-Remote-Extra-"]`,
		},
	}
}

func (w *world) eventually(check func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !check(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("not within 20 s")
		}
	}
}

// answer is what a request gets.
type answer struct {
	code   int
	status metav1.Status
	solved *v1alpha1.ChallengeResponse
	body   string
}

// ask sends a request as the API server sends it for a user.
func (w *world) ask(client *http.Client, method, path, body string, groups ...string) answer {
	w.t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, w.url+path, bytes.NewBufferString(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("X-Remote-User", asker)
	for _, g := range groups {
		request.Header.Add("X-Remote-Group", g)
	}
	response, err := client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{code: response.StatusCode, body: string(raw)}
	payload := v1alpha1.ChallengePayload{}
	if json.Unmarshal(raw, &payload) == nil && payload.Kind == v1alpha1.ChallengePayloadKind {
		a.solved = payload.Response
	} else {
		_ = json.Unmarshal(raw, &a.status)
	}
	return a
}

func payload(t *testing.T, r *v1alpha1.ChallengeRequest) string {
	t.Helper()
	body, err := json.Marshal(v1alpha1.ChallengePayload{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: v1alpha1.ChallengePayloadKind}, Request: r,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
