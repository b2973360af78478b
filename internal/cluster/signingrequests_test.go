package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"
	clientfake "sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
)

// TestSigningRequestForOrder has which requests an Order may be for: only one that is
// approved, for an issuer of the Order's namespace that its maker may use.
func TestSigningRequestForOrder(t *testing.T) {
	for name, test := range map[string]struct {
		signer, namespace string
		// may is the name of the signer that the API server allows.
		may             string
		found, approved bool
		asked           []string
	}{
		"cluster":              {"clusterissuers.cert-manager.io/ca", "cert-manager", "", true, true, nil},
		"cluster, elsewhere":   {"clusterissuers.cert-manager.io/ca", "app", "", false, false, nil},
		"may use the issuer":   {"issuers.cert-manager.io/app.ca", "app", "ca", true, true, []string{"app/ca"}},
		"may use all issuers":  {"issuers.cert-manager.io/app.ca", "app", "*", true, true, []string{"app/ca", "app/*"}},
		"may not":              {"issuers.cert-manager.io/app.ca", "app", "", true, false, []string{"app/ca", "app/*"}},
		"another namespace's":  {"issuers.cert-manager.io/app.ca", "cert-manager", "ca", false, false, nil},
		"without a namespace":  {"issuers.cert-manager.io/ca", "cert-manager", "ca", false, false, nil},
		"somebody else's name": {"example.com/ca", "cert-manager", "ca", false, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			object := &signingrequest.Object{
				ObjectMeta: metav1.ObjectMeta{Name: "r", UID: "u"},
				Spec:       certificatesv1.CertificateSigningRequestSpec{SignerName: test.signer, Username: "jane", Groups: []string{"dev"}, UID: "1", Extra: map[string]certificatesv1.ExtraValue{"k": {"v"}}},
				Status: certificatesv1.CertificateSigningRequestStatus{Conditions: []certificatesv1.CertificateSigningRequestCondition{
					{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue},
				}},
			}
			core := fake.NewClientset()
			var asked []string
			core.PrependReactor("create", "subjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
				review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview)
				on := review.Spec.ResourceAttributes
				asked = append(asked, on.Namespace+"/"+on.Name)
				want := authorizationv1.SubjectAccessReviewSpec{
					User: "jane", Groups: []string{"dev"}, UID: "1", Extra: map[string]authorizationv1.ExtraValue{"k": {"v"}},
					ResourceAttributes: &authorizationv1.ResourceAttributes{
						Group: "cert-manager.io", Resource: "signers", Verb: "reference", Version: "*", Namespace: "app", Name: on.Name,
					},
				}
				if diff := cmp.Diff(want, review.Spec); diff != "" {
					t.Errorf("asked (-want +got):\n%s", diff)
				}
				review.Status.Allowed = on.Name == test.may
				return true, review, nil
			})
			requests := &SigningRequests{where: SigningRequestsConfig{
				Issuers: NewIssuers(nil, "cert-manager"), References: NewReferences(core, clocktesting.NewFakePassiveClock(time.Unix(0, 0))),
				Live:   clientfake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(object).Build(),
				Copied: func(string) bool { return true },
			}}
			got, err := requests.Fetch(t.Context(), types.NamespacedName{Namespace: test.namespace, Name: "r"})
			if err != nil {
				t.Fatal(err)
			}
			if (got != nil) != test.found || got != nil && (condition.Approved(got) != test.approved || got.UID != "u" || got.Namespace != test.namespace) {
				t.Errorf("got %+v", got)
			}
			if diff := cmp.Diff(test.asked, asked); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
		})
	}
}
