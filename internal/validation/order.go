package validation

import (
	"bytes"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

const immutable = "field is immutable once set"

// OrderUpdate checks an Order, or its status, that is written in place of
// another: the request, and what the ACME server said, stay as they are.
func OrderUpdate(old, order *acmev1.Order) Result {
	var r Result
	kept := func(path *field.Path, same bool) {
		if !same {
			r.add(field.Forbidden(path, immutable))
		}
	}
	path := field.NewPath("status")
	was, now := &old.Status, &order.Status
	kept(field.NewPath("spec", "request"), bytes.Equal(old.Spec.Request, order.Spec.Request))
	kept(path.Child("url"), unset(was.URL) || was.URL == now.URL)
	kept(path.Child("finalizeURL"), unset(was.FinalizeURL) || was.FinalizeURL == now.FinalizeURL)
	kept(path.Child("certificate"), len(was.Certificate) == 0 || bytes.Equal(was.Certificate, now.Certificate))
	path = path.Child("authorizations")
	if len(was.Authorizations) > 0 && len(was.Authorizations) != len(now.Authorizations) {
		kept(path, false)
		return r
	}
	for i := range was.Authorizations {
		authorization(kept, path.Index(i), &was.Authorizations[i], &now.Authorizations[i])
	}
	return r
}

func unset(text string) bool { return text == "" }

func authorization(kept func(*field.Path, bool), path *field.Path, was, now *acmev1.ACMEAuthorization) {
	kept(path.Child("url"), unset(was.URL) || was.URL == now.URL)
	kept(path.Child("identifier"), unset(was.Identifier) || was.Identifier == now.Identifier)
	kept(path.Child("wildcard"), was.Wildcard == nil || now.Wildcard != nil && *was.Wildcard == *now.Wildcard)
	kept(path.Child("initialState"), was.InitialState == acmev1.Unknown || was.InitialState == now.InitialState)
	path = path.Child("challenges")
	if len(was.Challenges) > 0 && len(was.Challenges) != len(now.Challenges) {
		kept(path, false)
		return
	}
	for j, before := range was.Challenges {
		path, after := path.Index(j), now.Challenges[j]
		kept(path.Child("url"), before.URL == after.URL)
		kept(path.Child("type"), before.Type == after.Type)
		kept(path.Child("token"), before.Token == after.Token)
	}
}

// ChallengeUpdate checks a Challenge that is written in place of another. The
// spec names credentials, and stays as it is.
func ChallengeUpdate(old, challenge *acmev1.Challenge) Result {
	var r Result
	if !equality.Semantic.DeepEqual(old.Spec, challenge.Spec) {
		r.add(field.Forbidden(field.NewPath("spec"), "challenge spec is immutable after creation"))
	}
	return r
}
