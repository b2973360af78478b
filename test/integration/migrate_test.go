package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
)

// TestMigrateCheck: the command lists what this version cannot serve, of all kinds, and
// writes nothing.
func TestMigrateCheck(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	cluster.Apply(t, ns, commandsIssuer+`---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: venafi}
spec: {venafi: {zone: shop, tpp: {url: "https://tpp.example.com/vedsdk", credentialsRef: {name: tpp}}}}
---
`+harness.CertificateManifest("www", "selfsigned", "www.example.com")+"---\n"+harness.CertificateManifest("api", "venafi", "api.example.com"))
	out, errs, status := everleafOn(t, cluster, ns, "migrate", "check")
	// Other tests have ClusterIssuers too.
	_, found, _ := strings.Cut(out, "\n")
	want := `
This version cannot serve, and leaves alone:

KIND         NAMESPACE   NAME    WHY
Certificate  NS  api     Issuer "venafi" is of type "venafi", which this version does not have: it is not issued or renewed
Issuer       NS  venafi  this version has no issuers of type "venafi": the requests to it stay as they are

everleaf would write something for:

KIND         NAMESPACE   NAME  WHY
Certificate  NS  www   it would be issued: Issuing certificate as Secret does not exist (DoesNotExist)
`
	if diff := cmp.Diff(strings.ReplaceAll(want, "NS", ns), found); diff != "" || status != 1 || errs != "everleaf: this version cannot serve 2 of these objects\n" {
		t.Errorf("exit status %d, %s-want +got:\n%s", status, errs, diff)
	}
	leftAlone(t, cluster, ns)
	wantError(t, cluster, ns, `there is no migrate "plan"; there is: check`, "migrate", "plan")
	wantError(t, cluster, ns, `--output: must be json, yaml or nothing, not "html"`, "migrate", "check", "-o", "html")
}

// leftAlone holds that the Issuer "venafi" stays as cert-manager has left it while the
// controllers run, and so does the request that is made for it; its Certificate says why.
func leftAlone(t *testing.T, cluster *harness.Cluster, ns string) {
	t.Helper()
	venafi := &cmv1.Issuer{}
	key := client.ObjectKey{Namespace: ns, Name: "venafi"}
	if err := cluster.Get(t.Context(), key, venafi); err != nil {
		t.Fatal(err)
	}
	verified := cmv1.IssuerCondition{
		Type: cmv1.IssuerConditionReady, Status: cmmeta.ConditionTrue, Reason: "CertificateManagerIssuerStarted", Message: "Certificate Manager issuer started", ObservedGeneration: venafi.Generation,
	}
	venafi.Status.Conditions = []cmv1.IssuerCondition{verified}
	if err := cluster.Status().Update(t.Context(), venafi); err != nil {
		t.Fatal(err)
	}
	cluster.Run(t, harness.Controllers{Options: func(o *operator.Options) { o.Namespace = ns }})
	cluster.IssuingHolds(t, ns, "api", patience, `This version of everleaf has no issuers of type "venafi": CertificateRequest "api-1" is left alone`)
	harness.Eventually(t, patience, func() error {
		seen := map[string]bool{}
		events := &corev1.EventList{}
		err := cluster.List(t.Context(), events, client.InNamespace(ns))
		for _, e := range events.Items {
			if strings.Contains(e.Message, `no issuers of type "venafi"`) && e.Type == corev1.EventTypeWarning {
				seen[e.InvolvedObject.Kind] = true
			}
		}
		if !seen[cmv1.IssuerKind] || !seen[cmv1.CertificateRequestKind] {
			return errors.Join(err, fmt.Errorf("events about %v", seen))
		}
		return nil
	})
	request := &cmv1.CertificateRequest{}
	if err := errors.Join(cluster.Get(t.Context(), key, venafi), cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "api-1"}, request)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]cmv1.IssuerCondition{verified}, venafi.Status.Conditions); diff != "" {
		t.Errorf("the issuer (-want +got):\n%s", diff)
	}
	if len(request.Status.Conditions) > 0 {
		t.Errorf("the request has %+v", request.Status.Conditions)
	}
}
