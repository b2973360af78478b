package operator

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/controller/certificate"
	"github.com/everleaf/everleaf/internal/controller/certificaterequest"
	"github.com/everleaf/everleaf/internal/controller/challenge"
	"github.com/everleaf/everleaf/internal/controller/issuer"
	"github.com/everleaf/everleaf/internal/controller/order"
	"github.com/everleaf/everleaf/internal/controller/podcertificate"
	"github.com/everleaf/everleaf/internal/controller/renewalinformation"
)

// certificates are cert-manager's controllers of Certificates.
var certificates = []string{
	"certificates-issuing", "certificates-key-manager", "certificates-readiness",
	"certificates-request-manager", "certificates-revision-manager", "certificates-trigger",
}

// nothingToDo are cert-manager's controllers without work in this program.
var nothingToDo = []string{"certificates-metrics"}

// signing are cert-manager's controllers of CertificateSigningRequests.
var signing = []string{
	"certificatesigningrequests-issuer-acme", "certificatesigningrequests-issuer-ca",
	"certificatesigningrequests-issuer-selfsigned", "certificatesigningrequests-issuer-vault",
	"certificatesigningrequests-issuer-venafi",
}

func without(names []string, left ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(left, name) })
}

func TestEnabled(t *testing.T) {
	for _, test := range []struct {
		list string
		want []string
	}{
		{"", known()},
		{"*", known()},
		{"-orders", without(known(), "orders")},
		{"*,-orders", without(known(), "orders")},
		{"-orders,*", without(known(), "orders")},
		{"orders", []string{"orders"}},
		{"orders,challenges", []string{"challenges", "orders"}},
		{"orders,challenges,-orders", []string{"challenges"}},
		{"*,orders", known()},
		{"*,-certificaterequests-approver", without(known(), "certificaterequests-approver")},
		{strings.Join(certificates, ","), certificates},
		{strings.Join(nothingToDo, ","), nothingToDo},
		{strings.Join(signing, ","), signing},
		{"certificatesigningrequests-issuer-ca", []string{"certificatesigningrequests-issuer-ca"}},
		{"-gateway-shim", without(known(), "gateway-shim")},
		{"*,-" + strings.Join(requests(), ",-"), without(known(), requests()...)},
		{"*,-certificaterequests-issuer-venafi", without(known(), "certificaterequests-issuer-venafi")},
		{"certificaterequests-issuer-ca", []string{"certificaterequests-issuer-ca"}},
		{approver, []string{approver}},
	} {
		t.Run(test.list, func(t *testing.T) {
			list := split(test.list)
			if err := checkControllers(list); err != nil {
				t.Errorf("refused: %v", err)
			}
			var got []string
			for name, on := range enabled(list) {
				if on {
					got = append(got, name)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestEnabledByFlag has the controllers that run with a list of others, by the flags of
// their own.
func TestEnabledByFlag(t *testing.T) {
	const orders = "orders"
	for _, test := range []struct {
		list  string
		flags []string
		want  []string
	}{
		{orders, nil, []string{orders}},
		{orders, []string{flagGatewayAPI}, []string{gatewayShim, orders}},
		{orders, []string{flagGatewayAPI, flagListenerSets, flagHTTPRoutes, "feature-gates=ListenerSets=true"}, []string{gatewayShim, httpRouteShim, listenerSetShim, orders}},
		{"orders,-gateway-shim,-listenerset", []string{flagGatewayAPI, flagListenerSets, flagHTTPRoutes, "feature-gates=ListenerSets=true"}, []string{httpRouteShim, orders}},
		{orders, []string{flagListenerSets, flagHTTPRoutes}, []string{orders}},
		{orders, []string{flagGatewayAPI, "feature-gates=ExperimentalGatewayAPISupport=false"}, []string{orders}},
		{"*", nil, known()},
		{orders, []string{"feature-gates=ExperimentalCertificateSigningRequestControllers=true"}, append(slices.Clone(signing), orders)},
		{orders + ",-certificatesigningrequests-issuer-venafi", []string{"feature-gates=ExperimentalCertificateSigningRequestControllers=true"}, append(without(signing, "certificatesigningrequests-issuer-venafi"), orders)},
		{orders, []string{"feature-gates=ExperimentalCertificateSigningRequestControllers=true", "namespace=ns"}, []string{orders}},
		{orders, []string{"feature-gates=ExperimentalPodCertificateRequestControllers=true"}, []string{orders, "podcertificaterequests"}},
		{orders + ",-podcertificaterequests", []string{"feature-gates=ExperimentalPodCertificateRequestControllers=true"}, []string{orders}},
		{"-gateway-shim", []string{flagGatewayAPI}, without(known(), gatewayShim)},
	} {
		o := Defaults()
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.AddFlags(fs)
		args := []string{"--controllers=" + test.list}
		for _, flag := range test.flags {
			args = append(args, "--"+flag)
		}
		if err := fs.Parse(args); err != nil {
			t.Fatal(err)
		}
		var got []string
		for name, on := range o.enabled() {
			if on {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", args, diff)
		}
	}
}

// split splits a list as the flag does.
func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

func TestListsThatAreRefused(t *testing.T) {
	together := strings.Join(certificates, ", ") + " run as one controller in everleaf: enable all of them or none (disabled: "
	for _, test := range []struct{ list, want string }{
		{"gateway", `"gateway" is not in the list of known controllers: ` + strings.Join(known(), ", ")},
		{"*,-gateway", `"gateway" is not in the list of known controllers: ` + strings.Join(known(), ", ")},
		{"-*", `"*" is not in the list of known controllers: ` + strings.Join(known(), ", ")},
		{"certificates-trigger,certificates-issuing", together +
			"certificates-key-manager, certificates-readiness, certificates-request-manager, certificates-revision-manager)"},
		{"*,-certificates-trigger", together + "certificates-trigger)"},
	} {
		t.Run(test.list, func(t *testing.T) {
			err := checkControllers(split(test.list))
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			o := Defaults()
			o.Controllers = split(test.list)
			if err := o.Complete(); err == nil || err.Error() != "--controllers: "+test.want {
				t.Errorf("the flag: %v", err)
			}
		})
	}
}

// TestNamesAreUnique checks that each name of --controllers switches one controller,
// except the one that stands for two.
func TestNamesAreUnique(t *testing.T) {
	var names []string
	for _, e := range controllers() {
		names = append(names, e.names...)
	}
	slices.Sort(names)
	if twice := len(names) - len(slices.Compact(slices.Clone(names))); twice != 1 {
		t.Errorf("%d names are repeated, want %s only: %v", twice, renewalInformation, names)
	}
}

// TestRegistrations makes all controllers, without an API server: whatever one
// needs is there, and what it registers is complete.
func TestRegistrations(t *testing.T) {
	s := offline(t)
	kinds := map[string]string{}
	for _, e := range controllers() {
		t.Run(e.names[0], func(t *testing.T) {
			c, err := e.make(s)
			if err != nil {
				t.Fatal(err)
			}
			r := c.Registration()
			if err := controller.Complete(r, "Indexes", "Watches", "First"); err != nil {
				t.Error(err)
			}
			if kinds[r.Kind] != "" && r.Name != renewalinformation.Name {
				t.Errorf("controllers %s and %s reconcile the kind %s", kinds[r.Kind], r.Name, r.Kind)
			}
			kinds[r.Kind] = r.Name
			watched := []string{r.Kind}
			for _, w := range r.Watches {
				watched = append(watched, w.Kind)
			}
			for _, i := range r.Indexes {
				watched = append(watched, i.Kind)
			}
			for _, kind := range watched {
				if s.kinds()[kind] == nil && kind != "Secret" && !slices.ContainsFunc(s.optional(), func(o controller.Optional) bool { return o.Has(kind) }) {
					t.Errorf("kind %s is not cached", kind)
				}
			}
		})
	}
	for kind := range s.kinds() {
		if kinds[kind] == "" {
			t.Errorf("no controller reconciles the kind %s", kind)
		}
	}
}

// offline returns a system whose API server cannot be reached.
func offline(t *testing.T) *system {
	t.Helper()
	scheme, err := Scheme()
	if err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.LeaderElection.Enabled = false
	o.MetricsListenAddress, o.HealthzListenAddress = "0", "0"
	o.RecursiveNameservers = []string{"127.0.0.1:53"}
	o.SigningRequests, o.PodCertificates.Enabled = true, true
	if err := o.Complete(); err != nil {
		t.Fatal(err)
	}
	rc := &rest.Config{Host: "127.0.0.1:1"}
	options := managerOptions(o, scheme, logr.Discard())
	options.MapperProvider = func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return mapper(scheme), nil }
	mgr, err := ctrl.NewManager(rc, options)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSystem(t.Context(), mgr, rc, o, prometheus.NewRegistry(), component.NewCaches(t.Context(), logr.Discard()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mapper maps the kinds of a scheme to resources without a question to the API
// server.
func mapper(scheme *runtime.Scheme) meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	for kind := range scheme.AllKnownTypes() {
		m.Add(kind, meta.RESTScopeNamespace)
	}
	return m
}

// TestControllersRefuseWhatIsMissing checks that a dependency that is forgotten
// stops the start, and is named.
func TestControllersRefuseWhatIsMissing(t *testing.T) {
	for name, test := range map[string]struct {
		make func() (registrable, error)
		want string
	}{
		"issuer":      {func() (registrable, error) { return issuer.New(issuer.Deps{}, nil) }, "issuer.Deps: Types is missing"},
		"certificate": {func() (registrable, error) { return certificate.New(certificate.Deps{}, certificate.Config{}, nil) }, "certificate.Deps: Identity is missing"},
		"certificaterequest": {func() (registrable, error) {
			return certificaterequest.New(certificaterequest.Deps{}, certificaterequest.Config{}, nil)
		}, "certificaterequest.Deps: Answers is missing"},
		"renewalinformation": {func() (registrable, error) {
			return renewalinformation.New(renewalinformation.Deps{}, nil)
		}, "renewalinformation.Deps: Accounts is missing"},
		"order": {func() (registrable, error) { return order.New(order.Deps{}) }, "order.Deps: Accounts is missing"},
		"podcertificate": {func() (registrable, error) {
			return podcertificate.New(podcertificate.Deps{}, podcertificate.Config{}, nil)
		}, "podcertificate.Deps: Requests is missing"},
		"challenge": {func() (registrable, error) { return challenge.New(challenge.Deps{}) }, "challenge.Deps: Solvers is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.make()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
