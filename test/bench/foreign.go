package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// foreignNamespaces is how many namespaces have foreign Secrets.
const foreignNamespaces = 50

// foreign stores n Secrets of others, of 1 to 8 KiB: of five, two are releases of Helm,
// two have keys of applications, and one is for a registry.
func (p *plane) foreign(ctx context.Context, n int) error {
	say("%s: storing %d foreign Secrets", p.name, n)
	var models []*unstructured.Unstructured
	for _, model := range []struct {
		manager string
		secret  *corev1.Secret
	}{
		{"helm", &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{
				"owner": "helm", "name": "app", "status": "deployed", "version": "1", "modifiedAt": "1764000000",
			}},
			Type: "helm.sh/release.v1", Data: map[string][]byte{"release": nil},
		}},
		{"kubectl-create", &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Labels:      map[string]string{"app.kubernetes.io/name": "app", "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "app-1.2.3"},
				Annotations: map[string]string{"meta.helm.sh/release-name": "app", "meta.helm.sh/release-namespace": "team"},
			},
			Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"username": []byte("app"), "password": []byte("secret"), "config": nil},
		}},
		{"kubectl-create", &corev1.Secret{
			Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{}}`)},
		}},
	} {
		model.secret.Namespace, model.secret.GenerateName = namespace, "foreign-"
		if err := p.Create(ctx, model.secret, client.FieldOwner(model.manager)); err != nil {
			return err
		}
		o := &unstructured.Unstructured{}
		o.SetAPIVersion("v1")
		o.SetKind("Secret")
		if err := p.Get(ctx, client.ObjectKeyFromObject(model.secret), o); err != nil {
			return err
		}
		o.SetResourceVersion("")
		models = append(models, o)
	}
	for i := range foreignNamespaces {
		if err := p.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: foreignNamespace(i)}}); err != nil {
			return err
		}
	}
	return p.store(ctx, n, func(i int) ([]*unstructured.Unstructured, error) {
		kind := []int{0, 0, 1, 1, 2}[i%5]
		o := models[kind].DeepCopy()
		o.SetName([]string{"sh.helm.release.v1.app.v", "app-config-", "pull-"}[kind] + fmt.Sprint(i))
		o.SetNamespace(foreignNamespace(i % foreignNamespaces))
		o.SetUID(uuid.NewUUID())
		field := []string{"release", "config", corev1.DockerConfigJsonKey}[kind]
		return []*unstructured.Unstructured{o}, unstructured.SetNestedField(o.Object, content(1<<10+rand.IntN(7<<10)), "data", field)
	})
}

func foreignNamespace(i int) string { return fmt.Sprintf("team-%02d", i) }

// content returns the base64 of n bytes, n rounded down to a multiple of 3.
func content(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	text := make([]byte, n/3*4)
	for i := range text {
		text[i] = alphabet[rand.IntN(len(alphabet))]
	}
	return string(text)
}
