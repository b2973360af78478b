package shim

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/plan"
)

var now = time.Date(2026, 11, 27, 4, 0, 0, 0, time.UTC)

// options are the settings without any flag.
func options() Settings {
	return Settings{
		DefaultIssuer:   cmmeta.IssuerReference{Kind: "Issuer", Group: "cert-manager.io"},
		AutoAnnotations: []string{"kubernetes.io/tls-acme"},
	}
}

func meta(annotations ...string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: "lab", Name: "app", UID: "app-uid", ResourceVersion: "7", Annotations: map[string]string{}}
	for i := 0; i < len(annotations); i += 2 {
		m.Annotations[annotations[i]] = annotations[i+1]
	}
	return m
}

// ingress has annotations, in pairs, beside that of the ClusterIssuer le, and one TLS entry.
func ingress(annotations ...string) *networkingv1.Ingress {
	return &networkingv1.Ingress{
		ObjectMeta: meta(append([]string{"cert-manager.io/cluster-issuer", "le"}, annotations...)...),
		Spec:       networkingv1.IngressSpec{TLS: []networkingv1.IngressTLS{entry("app-tls", "app.example.test")}},
	}
}

func entry(secret string, hosts ...string) networkingv1.IngressTLS {
	return networkingv1.IngressTLS{SecretName: secret, Hosts: hosts}
}

// listener ends TLS for a host with the Secrets.
func listener(name, host string, secrets ...string) gwapi.Listener {
	l := gwapi.Listener{
		Name: gwapi.SectionName(name), Protocol: gwapi.HTTPSProtocolType, Port: 443,
		TLS: &gwapi.ListenerTLSConfig{Mode: ptr.To(gwapi.TLSModeTerminate)},
	}
	if host != "" {
		l.Hostname = ptr.To(gwapi.Hostname(host))
	}
	for _, secret := range secrets {
		l.TLS.CertificateRefs = append(l.TLS.CertificateRefs, gwapi.SecretObjectReference{Name: gwapi.ObjectName(secret)})
	}
	return l
}

func gateway(listeners ...gwapi.Listener) *gwapi.Gateway {
	return &gwapi.Gateway{ObjectMeta: meta("cert-manager.io/cluster-issuer", "le"), Spec: gwapi.GatewaySpec{Listeners: listeners}}
}

// listenerSet names the Gateway infra/gw.
func listenerSet(annotations ...string) *gwapi.ListenerSet {
	l := listener("a", "app.example.test", "app-tls")
	return &gwapi.ListenerSet{
		ObjectMeta: meta(annotations...),
		Spec: gwapi.ListenerSetSpec{
			ParentRef: gwapi.ParentGatewayReference{Name: "gw", Namespace: ptr.To(gwapi.Namespace("infra"))},
			Listeners: []gwapi.ListenerEntry{{Name: l.Name, Hostname: l.Hostname, Protocol: l.Protocol, Port: l.Port, TLS: l.TLS}},
		},
	}
}

// parent is the Gateway infra/gw.
func parent(annotations ...string) *gwapi.Gateway {
	g := &gwapi.Gateway{ObjectMeta: meta(annotations...)}
	g.Namespace, g.Name = "infra", "gw"
	return g
}

// stateOf is the state of an object among Certificates.
func stateOf(o Object, s Settings, certificates ...*cmv1.Certificate) *State {
	return &State{Object: o, Wanted: Want(o, s), Certificates: certificates, Memory: &Memory{}}
}

// settle carries plans out until nothing is left to do, and returns what was done
// and sent. Writes fail as often as errs has errors.
func settle(t *testing.T, s *State, errs ...error) (done []string, sent []plan.Event, last Plan) {
	t.Helper()
	for range 100 {
		p := s.Next(now)
		switch a := p.Do.(type) {
		case nil:
			return done, sent, p
		case Tell:
			s.Tell(a)
			sent = append(sent, p.Events...)
			continue
		}
		done = append(done, p.Do.String())
		if a, ok := p.Do.(Look); ok {
			s.Looked(a, WrittenFor(s.Object.Kind, a.Certificate.ManagedFields))
			continue
		}
		if len(errs) > 0 && errs[0] != nil {
			s.PutOff(s.Failed(plan.Failure{Action: p.Do, Err: errs[0]}, now).Do.(PutOff))
			errs = errs[1:]
			continue
		}
		errs = errs[min(1, len(errs)):]
		s.Done(p.Do, answer(p.Do), now)
		sent = append(sent, p.Events...)
	}
	t.Fatal("it does not settle")
	return nil, nil, Plan{}
}

// answer is what the API server answers to an action.
func answer(action plan.Action) *cmv1.Certificate {
	switch a := action.(type) {
	case Create:
		c := a.Certificate.DeepCopy()
		c.UID, c.ResourceVersion = "uid", "1"
		c.ManagedFields = managedFields("cert-manager-ingress-shim", c)
		return c
	case Update:
		return a.Certificate
	default:
		return nil
	}
}

// managedFields has a manager set all annotations and all of the spec of a Certificate.
func managedFields(manager string, c *cmv1.Certificate) []metav1.ManagedFieldsEntry {
	annotations, spec := map[string]any{}, map[string]any{}
	for key := range c.Annotations {
		annotations["f:"+key] = map[string]any{}
	}
	encoded, _ := json.Marshal(c.Spec)
	var fields map[string]any
	_ = json.Unmarshal(encoded, &fields)
	for name := range fields {
		spec["f:"+name] = map[string]any{}
	}
	set, _ := json.Marshal(map[string]any{"f:metadata": map[string]any{"f:annotations": annotations}, "f:spec": spec})
	return []metav1.ManagedFieldsEntry{{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: &metav1.FieldsV1{Raw: set}}}
}

// made are the Certificates that an object has got.
func made(t *testing.T, o Object, s Settings) []*cmv1.Certificate {
	t.Helper()
	state := stateOf(o, s)
	settle(t, state)
	return state.Certificates
}

// one is the only Certificate that an object has got.
func one(t *testing.T, o Object, s Settings) *cmv1.Certificate {
	t.Helper()
	all := made(t, o, s)
	if len(all) != 1 {
		t.Fatalf("%d Certificates, want 1", len(all))
	}
	return all[0]
}

// warned are the messages of the warnings about an object, with their reasons.
func warned(o Object, s Settings) []string {
	var all []string
	for _, e := range stateOf(o, s).warnings() {
		all = append(all, e.Reason+": "+e.Message)
	}
	return all
}

func check[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(metav1.ObjectMeta{}, "ManagedFields")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
