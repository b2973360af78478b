package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

func TestApproval(t *testing.T) {
	own := cmmeta.IssuerReference{Name: "ca"}
	clusterwide := cmmeta.IssuerReference{Name: "ca", Kind: "ClusterIssuer", Group: "cert-manager.io"}
	external := cmmeta.IssuerReference{Name: "pca", Kind: "AWSPCAIssuer", Group: "awspca.cert-manager.io"}
	failure := errors.New("no answer")
	for _, test := range []struct {
		name    string
		ref     cmmeta.IssuerReference
		allowed string
		fail    error
		want    bool
		asked   []string
	}{
		{"all of a kind", own, "issuers.cert-manager.io/*", nil, true, []string{"issuers.cert-manager.io/*"}},
		{"one issuer", own, "issuers.cert-manager.io/ns.ca", nil, true, []string{"issuers.cert-manager.io/*", "issuers.cert-manager.io/ns.ca"}},
		{"another issuer", own, "issuers.cert-manager.io/ns.other", nil, false, []string{"issuers.cert-manager.io/*", "issuers.cert-manager.io/ns.ca"}},
		{"one ClusterIssuer", clusterwide, "clusterissuers.cert-manager.io/ca", nil, true, []string{"clusterissuers.cert-manager.io/*", "clusterissuers.cert-manager.io/ca"}},
		{"external", external, "awspcaissuers.awspca.cert-manager.io/ns.pca", nil, true, []string{"awspcaissuers.awspca.cert-manager.io/*", "awspcaissuers.awspca.cert-manager.io/ns.pca"}},
		{"external, clusterwide", cmmeta.IssuerReference{Name: "pca", Kind: "AWSPCAClusterIssuer", Group: "awspca.cert-manager.io"}, "awspcaclusterissuers.awspca.cert-manager.io/pca", nil, true, []string{"awspcaclusterissuers.awspca.cert-manager.io/*", "awspcaclusterissuers.awspca.cert-manager.io/pca"}},
		{"external, irregular plural", cmmeta.IssuerReference{Name: "x", Kind: "Proxy", Group: "awspca.cert-manager.io"}, "proxies.awspca.cert-manager.io/ns.x", nil, true, []string{"proxies.awspca.cert-manager.io/*", "proxies.awspca.cert-manager.io/ns.x"}},
		{"external, not installed", cmmeta.IssuerReference{Name: "x", Kind: "Late", Group: "late.example"}, "lates.late.example/ns.x", nil, true, []string{"lates.late.example/*", "lates.late.example/ns.x"}},
		{"no answer", own, "", failure, false, []string{"issuers.cert-manager.io/*"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := fake.NewClientset()
			client.Resources = []*metav1.APIResourceList{{GroupVersion: "awspca.cert-manager.io/v1beta1", APIResources: []metav1.APIResource{
				{Name: "awspcaclusterissuers/status", Kind: "AWSPCAClusterIssuer"},
				{Name: "awspcaclusterissuers", Kind: "AWSPCAClusterIssuer"},
				{Name: "awspcaissuers", Kind: "AWSPCAIssuer", Namespaced: true},
				{Name: "proxies", Kind: "Proxy", Namespaced: true},
			}}}
			var asked []string
			client.PrependReactor("create", "selfsubjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
				review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview)
				what := review.Spec.ResourceAttributes
				asked = append(asked, what.Name)
				if what.Verb != "approve" || what.Resource != "signers" || what.Group != "cert-manager.io" {
					t.Errorf("asked for %+v", what)
				}
				review.Status.Allowed = what.Name == test.allowed
				return true, review, test.fail
			})
			clock := clocktesting.NewFakePassiveClock(time.Unix(1_700_000_000, 0))
			approval := NewApproval(client, clock)
			may := func() bool {
				t.Helper()
				got, err := approval.May(t.Context(), "ns", test.ref)
				if !errors.Is(err, test.fail) {
					t.Fatalf("error %v, want %v", err, test.fail)
				}
				return got
			}
			if got := may(); got != test.want {
				t.Errorf("may: %t, want %t", got, test.want)
			}
			if diff := cmp.Diff(test.asked, asked); diff != "" {
				t.Errorf("asked, -want +got:\n%s", diff)
			}
			// An error is remembered for seconds, an answer for a minute.
			remembers := approvalTTL
			if test.fail != nil {
				remembers = approvalErrorTTL
			}
			clock.SetTime(clock.Now().Add(remembers - time.Second))
			if got := may(); got != test.want || len(asked) != len(test.asked) {
				t.Errorf("within %s: %t, asked %v", remembers, got, asked)
			}
			clock.SetTime(clock.Now().Add(2 * time.Second))
			if got := may(); got != test.want || len(asked) != 2*len(test.asked) {
				t.Errorf("after %s: %t, asked %v", remembers, got, asked)
			}
			if remembered := approval.answers.Keys(); len(remembered) != len(test.asked) {
				t.Errorf("remembered %v", remembered)
			}
		})
	}
}

// TestApprovalOfStoppedProcess holds that an error which the end of a call brings is
// not remembered.
func TestApprovalOfStoppedProcess(t *testing.T) {
	client := fake.NewClientset()
	asked := 0
	client.PrependReactor("create", "selfsubjectaccessreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
		asked++
		return true, &authorizationv1.SelfSubjectAccessReview{}, context.Canceled
	})
	approval := NewApproval(client, clocktesting.NewFakePassiveClock(time.Unix(1_700_000_000, 0)))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		if _, err := approval.May(ended, "ns", cmmeta.IssuerReference{Name: "ca"}); err == nil {
			t.Error("no error")
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times, want 2", asked)
	}
}
