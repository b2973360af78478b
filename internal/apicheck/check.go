package apicheck

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

// attemptTime bounds one request to the API server, which itself waits up to 30 s for a
// webhook.
const attemptTime = time.Minute

// Check is an API to check.
type Check struct {
	client    client.Client
	namespace string
	admission Admission
	request   []byte
}

// New returns the check of the API that config reaches. The requests are for a
// namespace, which must exist. An error is about config.
func New(config *rest.Config, namespace string, admission Admission) (*Check, error) {
	scheme := runtime.NewScheme()
	if err := cmv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	// Where the CRDs are not there yet, the API server says so for each request; discovery
	// would be one request more.
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateRequestKind), meta.RESTScopeNamespace)
	config = rest.CopyConfig(config)
	config.Timeout = attemptTime
	reached, err := client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("reach the cluster: %w", err)
	}
	request, err := validRequest()
	if err != nil {
		return nil, err
	}
	return &Check{client: reached, namespace: namespace, admission: admission, request: request}, nil
}

// Once returns nil if the API is ready, else a *NotReady.
func (c *Check) Once(ctx context.Context) error {
	valid := c.certificateRequest("cmapichecker-valid-", c.request)
	err := c.client.Create(ctx, valid, client.DryRunAll)
	if err := c.admission.judgeValid(valid, err); err != nil {
		return err
	}
	invalid := c.certificateRequest("cmapichecker-invalid-", []byte("invalid-csr"))
	return c.admission.judgeInvalid(c.client.Create(ctx, invalid, client.DryRunAll))
}

func (c *Check) certificateRequest(name string, request []byte) *cmv1.CertificateRequest {
	return &cmv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: name, Namespace: c.namespace},
		Spec: cmv1.CertificateRequestSpec{
			Request:   request,
			IssuerRef: cmmeta.IssuerReference{Name: "cmapichecker"},
		},
	}
}

// validRequest is the PEM of a request for example.com by an ECDSA P-521 key, with basic
// constraints.
func validRequest() ([]byte, error) {
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 521})
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		DNSNames: []string{"example.com"},
		// An empty sequence: it is no CA (RFC 5280, section 4.2.1.9).
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 0}}},
	}, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// Wait calls check at once and then every interval, for the last time when patience has
// passed, until it returns nil. It calls failed after each attempt that is not the last,
// and returns the error of the last one. With a patience of 0 there is one attempt.
func Wait(ctx context.Context, clk clock.Clock, patience, interval time.Duration, check func(context.Context) error, failed func(error)) error {
	end := clk.Now().Add(patience)
	for {
		err := check(ctx)
		left := end.Sub(clk.Now())
		if err == nil || left <= 0 || ctx.Err() != nil {
			return err
		}
		failed(err)
		select {
		case <-ctx.Done():
			return err
		case <-clk.After(min(interval, left)):
		}
	}
}
