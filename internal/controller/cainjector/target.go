package cainjector

import (
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/everleaf/everleaf/internal/lifecycle/injectable"
)

// Target is a kind of object that CAs are injected into. All are cluster-scoped.
type Target struct {
	kind schema.GroupVersionKind
	// resource is the plural of the kind.
	resource string
	// entries are the bundles of an object, body is what is applied to set them.
	entries func(object) []injectable.Entry
	body    func([]injectable.Entry) map[string]any
}

// The kinds.
var (
	ValidatingWebhookConfigurations = Target{
		schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingWebhookConfiguration"},
		"validatingwebhookconfigurations", object.webhooks, webhooks,
	}
	MutatingWebhookConfigurations = Target{
		schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "MutatingWebhookConfiguration"},
		"mutatingwebhookconfigurations", object.webhooks, webhooks,
	}
	APIServices = Target{
		schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"},
		"apiservices", object.service, service,
	}
	CustomResourceDefinitions = Target{
		schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"},
		"customresourcedefinitions", object.conversion, conversion,
	}
)

// name is that of the controller in metrics and logs.
func (t Target) name() string { return strings.ToLower(t.kind.Kind) }

func (t Target) gvr() schema.GroupVersionResource {
	return t.kind.GroupVersion().WithResource(t.resource)
}

// metadata is an empty object of the kind, as it is cached.
func (t Target) metadata() *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(t.kind)
	return m
}

func (t Target) list() *metav1.PartialObjectMetadataList {
	l := &metav1.PartialObjectMetadataList{}
	l.SetGroupVersionKind(t.kind.GroupVersion().WithKind(t.kind.Kind + "List"))
	return l
}

// object has of an object of any of the kinds what matters here. The rest, such as the
// schemas of a CustomResourceDefinition, is not decoded.
type object struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Webhooks []struct {
		Name         string       `json:"name"`
		ClientConfig clientConfig `json:"clientConfig"`
	} `json:"webhooks"`
	Spec struct {
		CABundle   []byte `json:"caBundle"`
		Conversion struct {
			Strategy string `json:"strategy"`
			Webhook  struct {
				ClientConfig clientConfig `json:"clientConfig"`
			} `json:"webhook"`
		} `json:"conversion"`
	} `json:"spec"`
}

type clientConfig struct {
	CABundle []byte `json:"caBundle"`
}

func (o object) webhooks() []injectable.Entry {
	var entries []injectable.Entry
	for _, w := range o.Webhooks {
		entries = append(entries, injectable.Entry{Name: w.Name, Bundle: w.ClientConfig.CABundle})
	}
	return entries
}

func (o object) service() []injectable.Entry {
	return []injectable.Entry{{Bundle: o.Spec.CABundle}}
}

func (o object) conversion() []injectable.Entry {
	if o.Spec.Conversion.Strategy != "Webhook" {
		return nil
	}
	return []injectable.Entry{{Bundle: o.Spec.Conversion.Webhook.ClientConfig.CABundle}}
}

func webhooks(entries []injectable.Entry) map[string]any {
	var list []any
	for _, e := range entries {
		list = append(list, map[string]any{"name": e.Name, "clientConfig": map[string]any{"caBundle": e.Bundle}})
	}
	return map[string]any{"webhooks": list}
}

func service(entries []injectable.Entry) map[string]any {
	return map[string]any{"spec": map[string]any{"caBundle": entries[0].Bundle}}
}

func conversion(entries []injectable.Entry) map[string]any {
	config := map[string]any{"clientConfig": map[string]any{"caBundle": entries[0].Bundle}}
	return map[string]any{"spec": map[string]any{"conversion": map[string]any{"webhook": config}}}
}

// apply is the body of a server-side apply that sets the bundles of one version of an
// object. The version matters: an entry of a list of webhooks that somebody has just
// removed would be added again.
func (t Target) apply(name, version string, entries []injectable.Entry) ([]byte, error) {
	body := t.body(entries)
	body["apiVersion"], body["kind"] = t.kind.GroupVersion().String(), t.kind.Kind
	body["metadata"] = map[string]any{"name": name, "resourceVersion": version}
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode the apply of %s %s: %w", t.kind.Kind, name, err)
	}
	return encoded, nil
}
