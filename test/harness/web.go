package harness

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/everleaf/everleaf/test/address"
	"github.com/everleaf/everleaf/test/child"
)

// Edge returns an address of its own for an ingress controller, with the ports 80 and 443.
// It skips a test that may not listen there.
func Edge(tb testing.TB) netip.Addr {
	tb.Helper()
	addr, err := address.Edge(tb.Context(), 80, 443)
	if err != nil {
		child.Missing(tb, "needs the ports 80 and 443: %v", err)
	}
	return addr
}

// Backend returns an address of this machine that EndpointSlices may hold. It skips the test
// if there is none.
func Backend(tb testing.TB) netip.Addr {
	tb.Helper()
	addr, err := address.Backend()
	if err != nil {
		child.Missing(tb, "%v", err)
	}
	return addr
}

// Web serves the port 80 of a new Service by a web server of the test, until that ends.
func (c *Cluster) Web(tb testing.TB, namespace, service string, handler http.Handler) *httptest.Server {
	tb.Helper()
	addr := Backend(tb)
	listener, err := net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
	if err != nil {
		tb.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	tb.Cleanup(server.Close)
	c.Endpoints(tb, namespace, service, 80, netip.MustParseAddrPort(listener.Addr().String()))
	return server
}

// Endpoints creates a Service without a selector, and an EndpointSlice that leads it to an
// address.
func (c *Cluster) Endpoints(tb testing.TB, namespace, service string, port int32, to netip.AddrPort) {
	tb.Helper()
	family := discoveryv1.AddressTypeIPv4
	if to.Addr().Is6() {
		family = discoveryv1.AddressTypeIPv6
	}
	name, number, protocol, ready := "http", int32(to.Port()), corev1.ProtocolTCP, true
	err := c.Create(tb.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: service},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: name, Port: port}}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	err = c.Create(tb.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: namespace, Name: service, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: family,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{to.Addr().String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &number, Protocol: &protocol}},
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// Says is a handler that answers every request with a text.
func Says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, text) })
}

// Fetch returns what an address answers to GET, whatever the URL's host resolves to: the
// status code, followed by the body of a 200 and by where a redirect leads to. It accepts
// every certificate and follows no redirect.
func Fetch(addr netip.Addr, url string) string {
	client := &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
				_, port, err := net.SplitHostPort(to)
				if err != nil {
					return nil, err
				}
				return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(addr.String(), port))
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	answer := fmt.Sprint(response.StatusCode)
	if response.StatusCode == http.StatusOK {
		answer += " " + string(body)
	}
	return strings.TrimSpace(answer + " " + response.Header.Get("Location"))
}

// patience is how long a data plane may take to load a configuration.
const patience = 20 * time.Second

// Answers waits until an address gives an answer, as Fetch returns it.
func Answers(tb testing.TB, addr netip.Addr, url, want string) {
	tb.Helper()
	Eventually(tb, patience, func() error {
		if got := Fetch(addr, url); got != want {
			return fmt.Errorf("GET %s at %s: %q, want %q", url, addr, got, want)
		}
		return nil
	})
}
