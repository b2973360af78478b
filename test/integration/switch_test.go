package integration

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/solver/dns01/providers"
	preview "github.com/everleaf/everleaf/internal/takeover"
	"github.com/everleaf/everleaf/test/controlplane"
	"github.com/everleaf/everleaf/test/harness"
)

// dumps are clusters in which cert-manager 1.21 had been issuing, with managed fields.
// The keys were made for the recording.
//
//go:embed testdata/recorded
var dumps embed.FS

// recordedDump is what cert-manager left, and when.
type recordedDump struct {
	Time  time.Time
	Items []*unstructured.Unstructured
}

func readDump(t *testing.T, name string) recordedDump {
	t.Helper()
	data, err := dumps.ReadFile("testdata/recorded/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var dump recordedDump
	if err := json.Unmarshal(data, &dump); err != nil {
		t.Fatal(err)
	}
	return dump
}

// takeover is a cluster of cert-manager in which everleaf runs.
type takeover struct {
	*harness.Cluster
	dump    recordedDump
	traffic *harness.Traffic
}

func objectID(o *unstructured.Unstructured) string {
	return strings.TrimPrefix(fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName()), " ")
}

// objects are those of the kinds that a dump has.
func (s *takeover) objects(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	kinds := map[schema.GroupVersionKind]bool{}
	for _, o := range s.dump.Items {
		kinds[o.GroupVersionKind()] = true
	}
	found := map[string]*unstructured.Unstructured{}
	for kind := range kinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := s.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			if o := &list.Items[i]; o.GetNamespace() == "" || o.GetNamespace() == "rec" || o.GetNamespace() == "cert-manager" {
				found[objectID(o)] = o
			}
		}
	}
	return found
}

// changes are the fields in which two states of a cluster differ, by object: "gone", "new",
// or the paths in it. What the API server keeps about writes does not count.
func changes(before, after map[string]*unstructured.Unstructured) map[string][]string {
	found := map[string][]string{}
	for id, was := range before {
		switch is := after[id]; {
		case is == nil:
			found[id] = []string{"gone"}
		case is.GetResourceVersion() != was.GetResourceVersion():
			found[id] = changedPaths("", was.Object, is.Object)
		}
	}
	for id := range after {
		if before[id] == nil {
			found[id] = []string{"new"}
		}
	}
	return found
}

// changedPaths are the paths of the values that differ. A list is one value.
func changedPaths(path string, a, b any) []string {
	was, isMap := a.(map[string]any)
	is, isMapToo := b.(map[string]any)
	if !isMap || !isMapToo {
		if cmp.Equal(a, b) {
			return nil
		}
		return []string{path}
	}
	keys := slices.Collect(maps.Keys(was))
	keys = slices.AppendSeq(keys, maps.Keys(is))
	slices.Sort(keys)
	var found []string
	for _, key := range slices.Compact(keys) {
		at := strings.TrimPrefix(path+"."+key, ".")
		if at != "metadata.managedFields" && at != "metadata.resourceVersion" {
			found = append(found, changedPaths(at, was[key], is[key])...)
		}
	}
	return found
}

// TestSwitch has everleaf take over a cluster in which cert-manager has issued. What is
// issued stays as it is, to the last annotation; what waits goes on with its objects, and
// says why it waits; cert-manager's own writes fit after that, and so does everleaf's
// next start.
func TestSwitch(t *testing.T) {
	for name, want := range map[string]map[string][]string{
		"in-flight": {
			"Certificate rec/temporary": {"status.conditions"},
			// The name server and the ACME server are gone since.
			"CertificateRequest rec/acme-no-zone-1":             {"status.conditions"},
			"CertificateRequest rec/acme-ready-1":               {"status.conditions"},
			"CertificateRequest rec/acme-waiting-1":             {"status.conditions"},
			"Order rec/acme-no-zone-1-258351935":                {"status.reason"},
			"Order rec/acme-ready-1-2627009764":                 {"status.reason"},
			"Order rec/acme-waiting-1-707469077":                {"status.reason"},
			"Challenge rec/acme-no-zone-1-258351935-3948427003": {"status.reason"},
			"Challenge rec/acme-ready-1-2627009764-1040908869":  {"status.reason"},
			"Challenge rec/acme-waiting-1-707469077-3904595187": {"status.reason"},
		},
		"settled": {
			"Certificate rec/temporary": {"status.conditions"},
			// cert-manager had run without its approver at last.
			"Certificate rec/unapproved": {
				"status.conditions", "status.nextPrivateKeySecretName", "status.notAfter", "status.notBefore", "status.renewalTime", "status.revision",
			},
			"CertificateRequest rec/unapproved-1": {"status"},
			"Secret rec/unapproved-jbxmp":         {"gone"},
			"Secret rec/unapproved-tls":           {"new"},

			"CertificateRequest rec/acme-no-zone-1":             {"status.conditions"},
			"CertificateRequest rec/acme-waiting-1":             {"status.conditions"},
			"Order rec/acme-no-zone-1-258351935":                {"status.reason"},
			"Order rec/acme-waiting-1-707469077":                {"status.reason"},
			"Challenge rec/acme-no-zone-1-258351935-3948427003": {"status.reason"},
			"Challenge rec/acme-waiting-1-707469077-3904595187": {"status.reason"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dump := readDump(t, name)
			s := &takeover{Cluster: harness.Of(t, controlplane.Own(t)), dump: dump, traffic: &harness.Traffic{}}
			s.Restore(t, dump.Items...)
			before := s.objects(t)
			if len(before) != len(dump.Items) {
				t.Fatalf("%d objects are restored, want %d", len(before), len(dump.Items))
			}
			// It also has the API server encode the Secrets as it does.
			s.writeAsCertManager(t, before)
			before = s.objects(t)
			foretold := s.foretold(t)
			stop := s.run(t)
			after := s.objects(t)
			if diff := cmp.Diff(want, changes(before, after)); diff != "" {
				t.Errorf("what everleaf has changed (-want +got):\n%s", diff)
			}
			stop()
			for id := range changes(before, after) {
				if strings.HasPrefix(id, "Certificate ") && foretold[id] == "" {
					t.Errorf("everleaf migrate check did not foretell the change of %s", id)
				}
			}
			begun := map[string]string{}
			for _, crt := range foretells[name] {
				begun["Certificate rec/"+crt] = "touched: its issuance goes on where cert-manager has left it"
			}
			if diff := cmp.Diff(begun, foretold); diff != "" {
				t.Errorf("what everleaf migrate check says (-want +got):\n%s", diff)
			}

			s.writeAsCertManager(t, after)
			if diff := cmp.Diff(map[string][]string{}, changes(after, s.objects(t))); diff != "" {
				t.Errorf("what the same writes of cert-manager change after that (-want +got):\n%s", diff)
			}

			back := s.objects(t)
			s.run(t)()
			if diff := cmp.Diff(map[string][]string{}, changes(back, s.objects(t))); diff != "" {
				t.Errorf("what everleaf changes when it comes back (-want +got):\n%s", diff)
			}
		})
	}
}

// foretells are the Certificates whose issuance cert-manager had not ended.
var foretells = map[string][]string{
	"in-flight": {"acme-no-zone", "acme-ready", "acme-waiting", "external", "no-issuer", "temporary"},
	"settled":   {"acme-no-zone", "acme-waiting", "external", "no-issuer", "temporary", "unapproved"},
}

// foretold is what everleaf migrate check says, by object.
func (s *takeover) foretold(t *testing.T) map[string]string {
	t.Helper()
	found, err := preview.Survey(t.Context(), s.Client, "")
	if err != nil {
		t.Fatal(err)
	}
	defaults := operator.Defaults()
	report := preview.Judge(found, preview.Settings{Serves: operator.Serves, Unsupported: providers.All().Unsupported, Backoff: defaults.Backoff, Shim: defaults.Shims.Settings}, s.dump.Time)
	told := map[string]string{}
	for _, f := range report.Findings {
		told[fmt.Sprintf("%s %s/%s", f.Kind, f.Namespace, f.Name)] = f.Verdict + ": " + f.Why
	}
	return told
}

// run runs the controllers at the time of the dump until they write nothing more.
func (s *takeover) run(t *testing.T) (stop func()) {
	t.Helper()
	stop = s.Run(t, harness.Controllers{
		Config: func(c *rest.Config) { s.traffic.Record(c) },
		Options: func(o *operator.Options) {
			o.ClusterResourceNamespace = "cert-manager"
			// As cert-manager ran: two of the objects are CertificateSigningRequests.
			o.SigningRequests = true
			o.Clock = harness.Shifted(time.Until(s.dump.Time))
		},
	})
	s.traffic.Settle(t, "rec", 5*time.Second)
	return stop
}

// writeAsCertManager writes what cert-manager's controllers write about objects that are
// as they want them: the status of each by the controller that has it, the finalizer of a
// Challenge, and the Secrets of Certificates.
func (s *takeover) writeAsCertManager(t *testing.T, objects map[string]*unstructured.Unstructured) {
	t.Helper()
	status := map[string]client.FieldOwner{
		"Certificate": "cert-manager-certificates-readiness", "CertificateRequest": "cert-manager-certificaterequests-approver",
		"Order": "cert-manager-orders", "Challenge": "cert-manager-challenges", "Issuer": "cert-manager-issuers", "ClusterIssuer": "cert-manager-clusterissuers",
	}
	for id, o := range objects {
		var err error
		switch kind := o.GetKind(); {
		case kind == "Challenge" && len(o.GetFinalizers()) > 0:
			err = s.apply(t, o, "cert-manager-challenges", map[string]any{"finalizers": []any{"acme.cert-manager.io/finalizer"}}, nil)
		case kind == "Secret" && o.GetAnnotations()["cert-manager.io/certificate-name"] != "":
			labels, annotations := map[string]any{}, map[string]any{}
			for k, v := range o.GetLabels() {
				labels[k] = v
			}
			for k, v := range o.GetAnnotations() {
				annotations[k] = v
			}
			err = s.apply(t, o, "cert-manager-certificates-issuing", map[string]any{"labels": labels, "annotations": annotations},
				map[string]any{"data": o.Object["data"], "type": o.Object["type"]})
		case status[kind] != "" && o.Object["status"] != nil:
			err = s.Status().Update(t.Context(), o.DeepCopy(), status[kind])
		}
		if err != nil {
			t.Errorf("%s, as cert-manager writes it: %v", id, err)
		}
	}
}

// apply applies metadata and other fields of an object, with force.
func (s *takeover) apply(t *testing.T, o *unstructured.Unstructured, manager string, metadata, rest map[string]any) error {
	t.Helper()
	metadata["name"], metadata["namespace"] = o.GetName(), o.GetNamespace()
	want := map[string]any{"apiVersion": o.GetAPIVersion(), "kind": o.GetKind(), "metadata": metadata}
	maps.Copy(want, rest)
	return s.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: want}), client.FieldOwner(manager), client.ForceOwnership)
}
