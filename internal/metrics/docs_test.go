package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/metrics"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// recording is a registry that records what is registered.
type recording struct {
	*prometheus.Registry
	descs []*prometheus.Desc
}

func (r *recording) Register(c prometheus.Collector) error {
	ch := make(chan *prometheus.Desc)
	go func() {
		c.Describe(ch)
		close(ch)
	}()
	for d := range ch {
		r.descs = append(r.descs, d)
	}
	return r.Registry.Register(c)
}

var described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", .*, variableLabels: \{([^}]*)\}\}$`)

// halted is a status with the condition that nothing is issued any more.
var halted = cmv1.CertificateStatus{Conditions: []cmv1.CertificateCondition{
	{Type: cmv1.CertificateConditionIssuing, Status: cmmeta.ConditionFalse, Reason: "TooManyIssuances"},
}}

// metric is a metric as described by the code or by the page.
type metric struct {
	Type   string
	Labels []string
}

func inCode(t *testing.T) map[string]metric {
	t.Helper()
	reg := &recording{Registry: prometheus.NewRegistry()}
	certificates := reader(t,
		certificate("web", cmmeta.IssuerReference{}, halted), challenge("one", "", ""),
		&cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "ca"}},
		&cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "ca"}},
	)
	m, err := metrics.New(reg, certificates, logr.Discard(), clocktesting.NewFakePassiveClock(now))
	if err != nil {
		t.Fatal(err)
	}
	leaf, issuer := &pki.LeafFacts{NotAfter: now.Add(2 * time.Hour)}, now.Add(time.Hour)
	if err := reg.Register(metrics.Outliving(certificates, func(string, string) *facts.Secret { return &facts.Secret{Leaf: leaf, IssuerNotAfter: issuer} })); err != nil {
		t.Fatal(err)
	}
	if err := reg.Register(metrics.GatewayAPI(func() map[string]bool { return map[string]bool{"Gateway": true} })); err != nil {
		t.Fatal(err)
	}
	m.ObserveChallenges(inProgress{{Kind: "ClusterIssuer", Name: "acme"}})
	m.Count("orders", nil)
	m.HTTP01Responder([]string{"answered"})("answered")
	writes := metrics.NewWrites()
	if err := reg.Register(writes); err != nil {
		t.Fatal(err)
	}
	writes.WithLabelValues("update", "secrets").Inc()
	m.ObserveEvent(requestOf("", "ca", false), plan.Event{Reason: cmv1.EventReasonCertificateIssued})
	m.ObserveEvent(requestOf("", "ca", true), plan.Event{Warning: true, Reason: cmv1.EventReasonSigningError})
	m.ObserveVenafiToken(true, time.Second)
	m.ObserveVaultCall("sign", 200, time.Second)
	m.ObserveVenafiCall("ping", time.Second)
	m.ObserveACME("discover", "GET", "acme.example.com", "https", 200, time.Second)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{}
	for _, family := range families {
		types[family.GetName()] = strings.ToLower(family.GetType().String())
	}
	all := map[string]metric{}
	for _, d := range reg.descs {
		parts := described.FindStringSubmatch(d.String())
		if parts == nil {
			t.Fatalf("cannot read %s", d)
		}
		labels := []string{}
		if parts[2] != "" {
			labels = strings.Split(parts[2], ",")
		}
		slices.Sort(labels)
		all[parts[1]] = metric{types[parts[1]], labels}
	}
	return all
}

var quoted = regexp.MustCompile("`([^`]+)`")

func inPage(t *testing.T) map[string]metric {
	t.Helper()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]metric{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		labels := []string{}
		for _, l := range quoted.FindAllStringSubmatch(cells[3], -1) {
			labels = append(labels, l[1])
		}
		slices.Sort(labels)
		name := strings.Trim(cells[1], " `")
		if _, twice := all[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		all[name] = metric{strings.TrimSpace(cells[2]), labels}
	}
	return all
}

func TestPageAgreesWithCode(t *testing.T) {
	if diff := cmp.Diff(inCode(t), inPage(t)); diff != "" {
		t.Errorf("docs/metrics.md differs from the code (-code +page):\n%s", diff)
	}
}
