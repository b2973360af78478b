package local

import (
	"cmp"
	"context"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"

	"github.com/everleaf/everleaf/api/crds"
	"github.com/everleaf/everleaf/deploy"
)

// Namespace is where cluster-scoped issuers have their Secrets.
const Namespace = "cert-manager"

// fieldManager owns what install applies.
const fieldManager = "everleaf-local"

// probePolicy is applied last: once it is in force, so are the policies that were
// stored before it.
//
//go:embed probe.yaml
var probePolicy embed.FS

// install applies the CRDs, the namespace, the service account, the roles and the
// admission policies, deletes the policies of earlier versions, and returns when all of
// it is in force. What is there already and the same stays as it is.
func (c *ControlPlane) install(ctx context.Context) error {
	client, err := dynamic.NewForConfig(c.admin)
	if err != nil {
		return err
	}
	release, err := shippedRelease()
	if err != nil {
		return err
	}
	for _, source := range []fs.FS{crds.Files, deploy.Base, deploy.Policies, probePolicy} {
		objects, err := decodeAll(source)
		if err != nil {
			return err
		}
		if source == crds.Files {
			label(objects, release)
		}
		for _, object := range objects {
			if err := apply(ctx, client, object); err != nil {
				return err
			}
		}
		for _, object := range objects {
			if err := waitEstablished(ctx, client, object); err != nil {
				return err
			}
		}
	}
	for _, object := range deploy.Retired() {
		if err := remove(ctx, client, object); err != nil {
			return err
		}
	}
	return waitPolicies(ctx, client)
}

// releaseLabel says which release an object belongs to. Clients read it on CRDs.
const releaseLabel = "app.kubernetes.io/version"

// shippedRelease is the release that the manifests are of.
func shippedRelease() (string, error) {
	objects, err := decodeAll(deploy.Base)
	if err != nil {
		return "", err
	}
	for _, object := range objects {
		if release := object.GetLabels()[releaseLabel]; release != "" {
			return release, nil
		}
	}
	return "", errors.New("the manifests say no release")
}

// label labels objects with their release, as Helm does.
func label(objects []*unstructured.Unstructured, release string) {
	for _, object := range objects {
		labels := object.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[releaseLabel] = release
		object.SetLabels(labels)
	}
}

// decodeAll returns the objects in all files of a file system, in the order of
// their names.
func decodeAll(source fs.FS) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	err := fs.WalkDir(source, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := source.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		decoder := yaml.NewYAMLOrJSONDecoder(file, 4096)
		for {
			object := &unstructured.Unstructured{}
			if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if len(object.Object) > 0 {
				objects = append(objects, object)
			}
		}
	})
	return objects, err
}

// resource returns the client for an object's kind. The plural of the kinds
// that install knows is regular, which saves discovery.
func resource(client dynamic.Interface, object *unstructured.Unstructured) dynamic.ResourceInterface {
	plural, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	if namespace := object.GetNamespace(); namespace != "" {
		return client.Resource(plural).Namespace(namespace)
	}
	return client.Resource(plural)
}

func apply(ctx context.Context, client dynamic.Interface, object *unstructured.Unstructured) error {
	_, err := resource(client, object).Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return nil
}

func remove(ctx context.Context, client dynamic.Interface, retired deploy.Object) error {
	plural, _ := meta.UnsafeGuessKindToResource(schema.GroupVersionKind{Group: retired.Group, Version: retired.Version, Kind: retired.Kind})
	err := client.Resource(plural).Delete(ctx, retired.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s %s: %w", retired.Kind, retired.Name, err)
	}
	return nil
}

// waitEstablished waits until a CustomResourceDefinition is served. Other
// objects are there at once.
func waitEstablished(ctx context.Context, client dynamic.Interface, object *unstructured.Unstructured) error {
	if object.GetKind() != "CustomResourceDefinition" {
		return nil
	}
	return await(ctx, object.GetName()+" to be served", func() error {
		live, err := resource(client, object).Get(ctx, object.GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		conditions, _, err := unstructured.NestedSlice(live.Object, "status", "conditions")
		if slices.ContainsFunc(conditions, func(condition any) bool {
			fields, ok := condition.(map[string]any)
			return ok && fields["type"] == "Established" && fields["status"] == "True"
		}) {
			return nil
		}
		return cmp.Or(err, errors.New("not established"))
	})
}

// waitPolicies waits until the API server, which loads policies with a delay,
// applies them: the validating ones refuse the probe, the mutating one sets the
// user name. Both are asked by dry run.
func waitPolicies(ctx context.Context, client dynamic.Interface) error {
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	const name = "everleaf-local-probe"
	probe := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "namespace": Namespace},
	}}
	err := await(ctx, "validating admission policies", func() error {
		_, err := resource(client, probe).Create(ctx, probe, dryRun)
		if apierrors.IsInvalid(err) {
			return nil
		}
		return cmp.Or(err, errors.New("not in force"))
	})
	if err != nil {
		return err
	}

	request := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
		"metadata": map[string]any{"name": name, "namespace": Namespace},
		// The policies look no further into the request than for the head of a
		// PEM block.
		"spec": map[string]any{
			"request":   base64.StdEncoding.EncodeToString([]byte("-----BEGIN CERTIFICATE REQUEST-----")),
			"issuerRef": map[string]any{"name": name},
		},
	}}
	return await(ctx, "mutating admission policies", func() error {
		answer, err := resource(client, request).Create(ctx, request, dryRun)
		if err != nil {
			return err
		}
		if user, _, err := unstructured.NestedString(answer.Object, "spec", "username"); user == "" {
			return cmp.Or(err, errors.New("not in force"))
		}
		return nil
	})
}

// await is poll with an error that says what was waited for. Right after a start,
// errors of the API server go away.
func await(ctx context.Context, what string, check func() error) error {
	if err := poll(ctx, check); err != nil {
		return fmt.Errorf("waiting for %s: %w (last answer: %w)", what, context.Cause(ctx), err)
	}
	return nil
}
