package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/api/crds"
	"github.com/everleaf/everleaf/test/controlplane"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/pebble"
)

// TestDeletedCRDs: the CRDs are deleted under the controllers while a Challenge has its
// record presented, and come back with the Certificates; the Secrets have stayed. The
// controllers survive it, clean up, and issue nothing again (case Q53).
func TestDeletedCRDs(t *testing.T) {
	t.Parallel()
	const n = 5
	cluster := harness.Of(t, controlplane.Own(t))
	ns := cluster.Namespace(t)
	orders := &madeOrders{made: map[string]time.Time{}}
	quick := harness.QuickACME(t, harness.QuickOptions{Pebble: func(o *pebble.Options) {
		// Validations take their time: there is a moment in which one is pending.
		o.Output, o.Env = orders, []string{"PEBBLE_VA_SLEEPTIME=10"}
	}})
	var lines atomic.Int64
	log := funcr.New(func(_, line string) {
		lines.Add(1)
		t.Log(line)
	}, funcr.Options{})
	cluster.Run(t, harness.Controllers{Options: quick.Resolve, Log: &log})
	apply := func() {
		cluster.Apply(t, ns, harness.IssuerManifest("acme", quick.CA, quick.Solver()))
		for i := range n {
			name := fmt.Sprintf("acme-%d", i)
			cluster.Apply(t, ns, harness.CertificateManifest(name, "acme", name+".example.com"))
		}
		harness.Eventually(t, time.Minute, func() error {
			list := &cmv1.CertificateList{}
			if err := cluster.List(t.Context(), list, client.InNamespace(ns)); err != nil {
				return err
			}
			for i := range list.Items {
				if crt := &list.Items[i]; !isTrue(crt, cmv1.CertificateConditionReady) {
					return fmt.Errorf("%s: %s", crt.Name, conditions(crt))
				}
			}
			return nil
		})
	}
	cluster.Key(t, ns, quick.Key)
	apply()
	issued := secretsOf(t, cluster, ns)

	cluster.Apply(t, ns, harness.CertificateManifest("pending", "acme", "pending.example.com"))
	harness.Eventually(t, time.Minute, func() error {
		list := &acmev1.ChallengeList{}
		if err := cluster.List(t.Context(), list, client.InNamespace(ns)); err != nil {
			return err
		}
		if len(list.Items) != 1 || !list.Items[0].Status.Presented {
			return errors.New("no record is presented")
		}
		return nil
	})
	start, before := time.Now(), lines.Load()
	for _, crd := range ourCRDs(t, cluster) {
		if err := cluster.Delete(t.Context(), crd); err != nil {
			t.Fatal(err)
		}
	}
	harness.Eventually(t, 30*time.Second, func() error {
		if left := ourCRDs(t, cluster); len(left) > 0 {
			return fmt.Errorf("%d CRDs are left, as %s", len(left), left[0].GetName())
		}
		return nil
	})
	said := lines.Load() - before
	t.Logf("the CRDs are gone after %s, with %d lines in the log", time.Since(start).Round(time.Millisecond), said)
	if said > 200 {
		t.Errorf("%d lines in the log", said)
	}
	if values := quick.DNS.Records("_acme-challenge.pending.example.com"); len(values) > 0 {
		t.Errorf("the record of the pending Challenge is left: %v", values)
	}

	made := len(orders.made)
	applyCRDs(t, cluster)
	apply()
	if got := len(orders.made); got != made {
		t.Errorf("%d orders were made after the CRDs came back", got-made)
	}
	if got := secretsOf(t, cluster, ns); fmt.Sprint(got) != fmt.Sprint(issued) {
		t.Errorf("Secrets: got %v, want %v", got, issued)
	}
	// And what is new is issued.
	cluster.Apply(t, ns, harness.CertificateManifest("new", "acme", "new.example.com"))
	cluster.Ready(t, ns, "new", time.Minute)
}

func ourCRDs(t *testing.T, cluster *harness.Cluster) []*unstructured.Unstructured {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinitionList"})
	if err := cluster.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	var ours []*unstructured.Unstructured
	for i := range list.Items {
		if strings.HasSuffix(list.Items[i].GetName(), "cert-manager.io") {
			ours = append(ours, &list.Items[i])
		}
	}
	return ours
}

func applyCRDs(t *testing.T, cluster *harness.Cluster) {
	t.Helper()
	files, err := fs.Glob(crds.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := crds.Files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cluster.Apply(t, "", string(text))
	}
	for _, kind := range []client.ObjectList{&cmv1.CertificateList{}, &cmv1.IssuerList{}, &acmev1.ChallengeList{}} {
		harness.Eventually(t, time.Minute, func() error { return cluster.List(t.Context(), kind) })
	}
}

// secretsOf are the resource versions of the issued Secrets by name.
func secretsOf(t *testing.T, cluster *harness.Cluster, ns string) map[string]string {
	t.Helper()
	list := &corev1.SecretList{}
	if err := cluster.List(t.Context(), list, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, s := range list.Items {
		if s.Annotations[cmv1.CertificateNameKey] != "" {
			versions[s.Name] = s.ResourceVersion
		}
	}
	return versions
}
