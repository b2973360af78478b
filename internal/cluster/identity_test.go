package cluster

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// reviewer answers SelfSubjectReviews with a user, or fails, and counts them.
type reviewer struct {
	user  authenticationv1.UserInfo
	fail  error
	asked int
	clock *clocktesting.FakePassiveClock
	// during, if it is not nil, is called before each answer.
	during func()
}

func (r *reviewer) identity() *Identity {
	client := fake.NewClientset()
	client.PrependReactor("create", "selfsubjectreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
		r.asked++
		if r.during != nil {
			r.during()
		}
		review := &authenticationv1.SelfSubjectReview{}
		r.user.DeepCopyInto(&review.Status.UserInfo)
		return true, review, r.fail
	})
	r.clock = clocktesting.NewFakePassiveClock(time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC))
	return NewIdentity(client, r.clock)
}

func controllerUser() authenticationv1.UserInfo {
	return authenticationv1.UserInfo{
		Username: "system:serviceaccount:cert-manager:cert-manager", UID: "uid-1",
		Groups: []string{"system:serviceaccounts", "system:authenticated"},
		Extra:  map[string]authenticationv1.ExtraValue{"authentication.kubernetes.io/credential-id": {"JTI=1"}},
	}
}

func signed(u authenticationv1.UserInfo) cmv1.CertificateRequestSpec {
	spec := cmv1.CertificateRequestSpec{Username: u.Username, UID: u.UID, Groups: u.Groups}
	for k, v := range u.Extra {
		if spec.Extra == nil {
			spec.Extra = map[string][]string{}
		}
		spec.Extra[k] = v
	}
	return spec
}

func TestIdentitySigns(t *testing.T) {
	plain := authenticationv1.UserInfo{Username: "admin"}
	for name, user := range map[string]authenticationv1.UserInfo{"service account": controllerUser(), "name only": plain} {
		t.Run(name, func(t *testing.T) {
			r := &reviewer{user: user}
			i := r.identity()
			for range 3 {
				// What a request has of another requester does not stay.
				spec := cmv1.CertificateRequestSpec{
					Username: "other", UID: "other", Groups: []string{"other"}, Extra: map[string][]string{"other": {"other"}},
				}
				i.Sign(t.Context(), &spec)
				if diff := cmp.Diff(signed(user), spec, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("-want +got:\n%s", diff)
				}
				i.Check(&spec)
			}
			if r.asked != 1 {
				t.Errorf("asked %d times, want once", r.asked)
			}
		})
	}
}

// TestIdentityIsCopied checks that the API server's answer to a create, which is
// decoded into the request, does not change the identity.
func TestIdentityIsCopied(t *testing.T) {
	i := (&reviewer{user: controllerUser()}).identity()
	var first, second cmv1.CertificateRequestSpec
	i.Sign(t.Context(), &first)
	first.Groups[0] = "changed"
	for k := range first.Extra {
		first.Extra[k][0] = "changed"
	}
	first.Extra["more"] = []string{"changed"}
	i.Sign(t.Context(), &second)
	if diff := cmp.Diff(signed(controllerUser()), second); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestIdentityIsForgottenWhenItHasChanged(t *testing.T) {
	for name, change := range map[string]func(*authenticationv1.UserInfo){
		"same":       func(*authenticationv1.UserInfo) {},
		"user name":  func(u *authenticationv1.UserInfo) { u.Username = "other" },
		"UID":        func(u *authenticationv1.UserInfo) { u.UID = "uid-2" },
		"groups":     func(u *authenticationv1.UserInfo) { u.Groups = u.Groups[:1] },
		"value":      func(u *authenticationv1.UserInfo) { u.Extra["authentication.kubernetes.io/credential-id"][0] = "JTI=2" },
		"more extra": func(u *authenticationv1.UserInfo) { u.Extra["more"] = authenticationv1.ExtraValue{"x"} },
		"no extra":   func(u *authenticationv1.UserInfo) { u.Extra = nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := &reviewer{user: controllerUser()}
			i := r.identity()
			i.Sign(t.Context(), &cmv1.CertificateRequestSpec{})
			change(&r.user)
			created := signed(r.user)
			i.Check(&created)

			var next cmv1.CertificateRequestSpec
			i.Sign(t.Context(), &next)
			if diff := cmp.Diff(signed(r.user), next, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			want := 2
			if name == "same" {
				want = 1
			}
			if r.asked != want {
				t.Errorf("asked %d times, want %d", r.asked, want)
			}
		})
	}
}

func TestIdentityWithoutAnAnswer(t *testing.T) {
	reviews := schema.GroupResource{Group: "authentication.k8s.io", Resource: "selfsubjectreviews"}
	for name, test := range map[string]struct {
		fail error
		want int
	}{
		"not known":  {apierrors.NewNotFound(reviews, ""), 1},
		"forbidden":  {apierrors.NewForbidden(reviews, "", errors.New("no")), 1},
		"no answer":  {errors.New("connection refused"), 2},
		"overloaded": {apierrors.NewTooManyRequests("later", 1), 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := &reviewer{fail: test.fail}
			i := r.identity()
			// The third try is a minute after the first.
			for range 3 {
				want := cmv1.CertificateRequestSpec{Username: "as it was", Groups: []string{"as it was"}}
				spec := *want.DeepCopy()
				i.Sign(t.Context(), &spec)
				i.Check(&spec)
				if diff := cmp.Diff(want, spec); diff != "" {
					t.Fatalf("the request has changed, -want +got:\n%s", diff)
				}
				r.clock.SetTime(r.clock.Now().Add(30 * time.Second))
			}
			if r.asked != test.want {
				t.Errorf("asked %d times, want %d", r.asked, test.want)
			}
		})
	}
}

// TestIdentityIsForgottenWhenACreateIsRefused checks which refusals have the API
// server asked again.
func TestIdentityIsForgottenWhenACreateIsRefused(t *testing.T) {
	requests := schema.GroupResource{Group: "cert-manager.io", Resource: "certificaterequests"}
	forbidden := func() *apierrors.StatusError { return apierrors.NewForbidden(requests, "", errors.New("no")) }
	terminating := forbidden()
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, test := range map[string]struct {
		err  error
		want int
	}{
		"forbidden":                {forbidden(), 2},
		"invalid":                  {apierrors.NewInvalid(schema.GroupKind{Kind: "CertificateRequest"}, "", nil), 2},
		"the namespace is deleted": {terminating, 1},
		"exists":                   {apierrors.NewAlreadyExists(requests, ""), 1},
		"no answer":                {errors.New("connection refused"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := &reviewer{user: controllerUser()}
			i := r.identity()
			for range 2 {
				i.Sign(t.Context(), &cmv1.CertificateRequestSpec{})
				i.Refused(test.err)
			}
			if r.asked != test.want {
				t.Errorf("asked %d times, want %d", r.asked, test.want)
			}
		})
	}
}

// TestIdentityDoesNotBlock checks that other callers go on, without an identity,
// while one waits for the API server. A call that blocks never returns.
func TestIdentityDoesNotBlock(t *testing.T) {
	r := &reviewer{user: controllerUser()}
	i := r.identity()
	var during cmv1.CertificateRequestSpec
	r.during = func() {
		i.Sign(t.Context(), &during)
		i.Check(&during)
	}
	var first cmv1.CertificateRequestSpec
	i.Sign(t.Context(), &first)
	if diff := cmp.Diff(signed(controllerUser()), first); diff != "" {
		t.Errorf("the caller that asks, -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(cmv1.CertificateRequestSpec{}, during); diff != "" {
		t.Errorf("another caller, -want +got:\n%s", diff)
	}
	if r.asked != 1 {
		t.Errorf("asked %d times, want once", r.asked)
	}
}
