package solverwebhook

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
)

func TestDecodeConfig(t *testing.T) {
	for _, c := range []struct{ config, want string }{
		{`{"endpoint": "https://dns", "tokenRef": {"name": "n", "key": "k"}}`, ""},
		{`{}`, ""},
		{``, "webhook.config of the issuer is empty: set it as the solver's documentation says"},
		{`null`, "webhook.config of the issuer is empty: set it as the solver's documentation says"},
		{`{"endpiont": "x"}`, `webhook.config of the issuer: unknown field "endpiont"`},
		{`{"Endpoint": "x"}`, `webhook.config of the issuer: unknown field "Endpoint"`},
		{`{"tokenRef": {"nam": "n"}}`, `webhook.config of the issuer: unknown field "tokenRef.nam"`},
		{`{"endpoint": "x", "endpoint": "y"}`, `webhook.config of the issuer: duplicate field "endpoint"`},
		{`{"endpoint": {}}`, `webhook.config of the issuer: field "endpoint" is a JSON object, which does not fit`},
		{`["x"]`, `webhook.config of the issuer: it is a JSON array instead of an object`},
	} {
		r := &v1alpha1.ChallengeRequest{Config: &apiextensionsv1.JSON{Raw: []byte(c.config)}}
		into := struct {
			Endpoint string                   `json:"endpoint"`
			TokenRef corev1.SecretKeySelector `json:"tokenRef"`
		}{}
		if got := text(DecodeConfig(r, &into)); got != c.want {
			t.Errorf("%s: %q, want %q", c.config, got, c.want)
		}
	}
	if err := DecodeConfig(&v1alpha1.ChallengeRequest{}, &struct{}{}); err == nil {
		t.Error("no config is accepted")
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestReadSecret(t *testing.T) {
	secret := func(namespace, name string, data map[string]string) *corev1.Secret {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{}}
		for k, v := range data {
			s.Data[k] = []byte(v)
		}
		return s
	}
	client := fake.NewClientset(
		secret("team", "dns", map[string]string{"token": " s3cr3t\r\n", "pem": "a\nb", "raw": "\xe7\x01s3cr3t", "empty": "\n"}),
		secret("team", "none", nil),
		secret("other", "theirs", map[string]string{"token": "t"}),
	)
	client.PrependReactor("get", "secrets", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if a.(clienttesting.GetAction).GetName() != "forbidden" {
			return false, nil, nil
		}
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "forbidden", errors.New("no"))
	})
	for _, c := range []struct{ namespace, name, key, value, err string }{
		{"team", "dns", "token", "s3cr3t", ""},
		{"team", "dns", "pem", "a\nb", ""},
		{"team", "dns", "raw", "", `Secret team/dns, key "raw": the value is not text; was the clear value put under data: instead of stringData:?`},
		{"team", "dns", "empty", "", `Secret team/dns, key "empty": the value is empty`},
		{"team", "dns", "tokne", "", `Secret team/dns has no key "tokne"; it has: empty, pem, raw, token`},
		{"team", "none", "token", "", `Secret team/none has no key "token"; it is empty`},
		{"team", "theirs", "token", "", "Secret team/theirs does not exist; create it in this namespace"},
		{"team", "forbidden", "token", "", "Secret team/forbidden may not be read by the service account of the solver: allow it to get this Secret with a Role and a RoleBinding in namespace team"},
		{"team", "", "token", "", "webhook.config of the issuer: a reference to a Secret needs name and key"},
		{"", "theirs", "token", "", "the request names no namespace for Secrets"},
	} {
		r := &v1alpha1.ChallengeRequest{ResourceNamespace: c.namespace}
		ref := corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: c.name}, Key: c.key}
		value, err := ReadSecret(t.Context(), client, r, ref)
		if value != c.value || text(err) != c.err {
			t.Errorf("%+v: %q, %v", c, value, err)
		}
	}
}
