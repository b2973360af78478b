package integration

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	certificatesv1 "k8s.io/api/certificates/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/installed"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/controlplane"
	"github.com/everleaf/everleaf/test/harness"
)

const oldCertificate = `# A comment, which is lost.
apiVersion: cert-manager.io/v1alpha2
kind: Certificate
metadata: {name: old, labels: {app: web}}
spec:
  secretName: old-tls
  keyAlgorithm: ecdsa
  organization: [Example]
  dnsNames: [old.example.com]
  issuerRef: {name: selfsigned-ca}
`

// TestConvertApplies: what everleaf convert prints of an old manifest is accepted.
func TestConvertApplies(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("old.yaml", oldCertificate)
	const converted = `apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  labels:
    app: web
  name: old
spec:
  dnsNames:
  - old.example.com
  issuerRef:
    name: selfsigned-ca
  privateKey:
    algorithm: ECDSA
  secretName: old-tls
  subject:
    organizations:
    - Example
`
	out, errs, status := runEverleaf(t, "convert", "-f", file)
	if diff := cmp.Diff(converted, out); status != 0 || errs != "" || diff != "" {
		t.Errorf("exit status %d: %s\n-want +got:\n%s", status, errs, diff)
	}
	cluster.Apply(t, ns, out)
	write("kustomization.yaml", "resources: [old.yaml]\nnamePrefix: my-\n")
	if out, errs, status = runEverleaf(t, "convert", "-k", dir, "-o", "json"); status != 0 || !strings.Contains(out, `"name": "my-old"`) || !strings.Contains(out, `"apiVersion": "cert-manager.io/v1"`) {
		t.Errorf("-k: exit status %d: %s\n%s", status, errs, out)
	}
	mixed := write("mixed.yaml", oldCertificate+"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
	out, errs, status = runEverleaf(t, "convert", "-f", mixed)
	if status != 0 || errs != "ConfigMap a of v1 is not of cert-manager's API: it is printed as it is\n" || !strings.HasPrefix(out, "apiVersion: v1\nitems:\n- apiVersion: cert-manager.io/v1\n") || !strings.HasSuffix(out, "kind: List\nmetadata: {}\n") {
		t.Errorf("several: exit status %d: %s\n%s", status, errs, out)
	}
	for content, want := range map[string]string{
		"# nothing\n": "no objects passed to convert",
		"apiVersion: v1\nkind: List\nitems: []\n":          "no objects passed to convert",
		strings.Replace(oldCertificate, "ecdsa", "dsa", 1): "convert Certificate old: spec.keyAlgorithm: dsa is none of ecdsa, rsa",
	} {
		out, errs, status := runEverleaf(t, "convert", "-f", write("wrong.yaml", content))
		if status != 1 || errs != "everleaf: "+want+"\n" || out != "" {
			t.Errorf("%s: exit status %d: %s%s", content, status, out, errs)
		}
	}
}

// TestCreateAndInspect: a person gets a certificate without a Certificate, from an old
// manifest, and the key is for its owner alone.
func TestCreateAndInspect(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	cluster.Apply(t, ns, commandsIssuer+`---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: root}
spec: {isCA: true, commonName: Root, secretName: root, issuerRef: {name: selfsigned}, privateKey: {algorithm: ECDSA}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: selfsigned-ca}
spec: {ca: {secretName: root}}
`)
	cluster.Run(t, harness.Controllers{Options: func(o *operator.Options) { o.Namespace = ns }})
	cluster.Ready(t, ns, "root", 30*time.Second)
	dir := t.TempDir()
	file, key, crt := filepath.Join(dir, "old.yaml"), filepath.Join(dir, "key"), filepath.Join(dir, "crt")
	if err := os.WriteFile(file, []byte(oldCertificate), 0o600); err != nil {
		t.Fatal(err)
	}
	arguments := []string{"create", "certificaterequest", "mine", "--from-certificate-file=" + file, "--output-key-file=" + key, "--output-certificate-file=" + crt, "--fetch-certificate", "--timeout=30s"}
	out, errs, status := everleafOn(t, cluster, ns, arguments...)
	want := strings.NewReplacer("KEY", key, "CRT", crt, "NS", ns).Replace(`Private key written to file KEY
CertificateRequest mine has been created in namespace NS
CertificateRequest mine in namespace NS has not been signed yet. Wait until it is signed...
CertificateRequest mine in namespace NS has been signed
Certificate written to file CRT
`)
	if diff := cmp.Diff(want, errs); status != 0 || out != "" || diff != "" {
		t.Fatalf("exit status %d: %s\n-want +got:\n%s", status, out, diff)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}
	if _, err := tls.LoadX509KeyPair(crt, key); err != nil {
		t.Errorf("certificate and key: %v", err)
	}
	request := &cmv1.CertificateRequest{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "mine"}, request); err != nil || request.Labels["app"] != "web" || request.Spec.IssuerRef.Name != "selfsigned-ca" {
		t.Errorf("%v: %+v", err, request)
	}
	// Neither the request nor the key is replaced.
	wantError(t, cluster, ns, "CertificateRequest mine in namespace "+ns+" exists already; choose another name", arguments...)
	arguments[2] = "other"
	if _, errs, status := everleafOn(t, cluster, ns, arguments...); status != 1 || !strings.Contains(errs, "file exists; --output-key-file names another file") {
		t.Errorf("again: exit status %d: %s", status, errs)
	}
	// A key whose request is refused is of no use.
	refused := filepath.Join(dir, "refused.key")
	if _, errs, status := everleafOn(t, cluster, ns, "create", "certificaterequest", "Not_A_Name", "--from-certificate-file="+file, "--output-key-file="+refused); status != 1 ||
		!strings.Contains(errs, "File "+refused+" has been removed again") {
		t.Errorf("a name that is refused: exit status %d: %s", status, errs)
	}
	if _, err := os.Stat(refused); !os.IsNotExist(err) {
		t.Errorf("its key: %v", err)
	}

	out, errs, status = everleafOn(t, cluster, ns, "inspect", "secret", "root")
	for _, want := range []string{
		"Valid for:\n\tDNS Names: <none>\n\tURIs: <none>\n\tIP Addresses: <none>\n\tEmail Addresses: <none>\n\tUsages: \n\t\t- digital signature\n\t\t- key encipherment\n\t\t- cert sign\n\nValidity period:\n\tNot Before: ",
		"\n\nIssued For:\n\tCommon Name: Root\n\tOrganization: <none>\n", "\tIs a CA certificate: true\n\tCRL:\t<none>\n\tOCSP:\t<none>\n\nDebugging:\n\tTrusted by this computer:\tno: x509: ",
		"\tCRL Status:\tNo CRL endpoints set\n",
	} {
		if !strings.Contains(out, want) || status != 0 {
			t.Errorf("exit status %d: %s\nno %q in\n%s", status, errs, want, out)
		}
	}
	if out, _, _ = everleafOn(t, cluster, ns, "inspect", "secret", "root", "-o", "json"); !strings.Contains(out, `"commonName": "Root"`) || strings.Contains(out, "PRIVATE") {
		t.Errorf("-o json:\n%s", out)
	}
	wantError(t, cluster, ns, `error when finding Secret "none": secrets "none" not found; it was looked for in namespace "`+ns+`", and -n selects another`, "inspect", "secret", "none")
	cluster.Secret(t, ns, "empty", "other", "x")
	wantError(t, cluster, ns, `no PEM data found in secret: it has no 'tls.crt', or an empty one (Secret "empty" in namespace "`+ns+`")`, "inspect", "secret", "empty")
}

// TestCreateSigningRequest: the signer of a CertificateSigningRequest is that of the
// issuer, whose kind the cluster is asked about.
func TestCreateSigningRequest(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	for kind, signer := range map[string]string{"Issuer": "issuers.cert-manager.io/" + ns + ".ca", "ClusterIssuer": "clusterissuers.cert-manager.io/ca"} {
		dir := t.TempDir()
		file, key, name := filepath.Join(dir, "crt.yaml"), filepath.Join(dir, "key"), ns+"-"+strings.ToLower(kind)
		text := "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: a}\nspec: {secretName: a, dnsNames: [a.example], duration: 1h, isCA: true, issuerRef: {name: ca, kind: " + kind + "}}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, errs, status := everleafOn(t, cluster, ns, "x", "create", "csr", name, "-f", file, "-k", key)
		if want := "Private key written to file " + key + "\nCertificateSigningRequest " + name + " has been created\n"; status != 0 || out != want {
			t.Fatalf("exit status %d: %s\n%s", status, errs, out)
		}
		csr := &certificatesv1.CertificateSigningRequest{}
		if err := cluster.Get(t.Context(), client.ObjectKey{Name: name}, csr); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cluster.Delete(context.Background(), csr) })
		want := map[string]string{"experimental.cert-manager.io/request-duration": "1h0m0s", "experimental.cert-manager.io/request-is-ca": "true"}
		if diff := cmp.Diff(want, csr.Annotations); csr.Spec.SignerName != signer || diff != "" {
			t.Errorf("signer %s, want %s; annotations, -want +got:\n%s", csr.Spec.SignerName, signer, diff)
		}
	}
}

// TestVersionAndMigration: the version of the CRDs is found, and objects that may be
// stored in an old version are written as v1, on a control plane of its own.
func TestVersionAndMigration(t *testing.T) {
	t.Parallel()
	cluster := harness.Of(t, controlplane.Own(t))
	ns := cluster.Namespace(t)
	cluster.Apply(t, ns, commandsIssuer)
	crds, err := apiextensions.NewForConfig(cluster.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	definitions := crds.ApiextensionsV1().CustomResourceDefinitions()
	wantOutput(t, cluster, ns, "Nothing to do: the objects of all cert-manager CRDs are stored as v1.\n", "upgrade", "migrate-api-version")
	const name = "issuers.cert-manager.io"
	crd, err := definitions.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	crd.Status.StoredVersions = []string{"v1alpha2", "v1"}
	// The API server allows an old version in the status only if the spec has it.
	old := *crd.Spec.Versions[0].DeepCopy()
	old.Name, old.Storage, old.Served = "v1alpha2", false, false
	if !slices.ContainsFunc(crd.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name == "v1alpha2" }) {
		crd.Spec.Versions = append(crd.Spec.Versions, old)
		stored := crd.Status.StoredVersions
		if crd, err = definitions.Update(t.Context(), crd, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		crd.Status.StoredVersions = stored
	}
	if _, err = definitions.UpdateStatus(t.Context(), crd, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	wantOutput(t, cluster, ns, name+": 1 objects written\nAll objects of the cert-manager CRDs are stored as v1.\n", "upgrade", "migrate-api-version")
	if crd, err = definitions.Get(t.Context(), name, metav1.GetOptions{}); err != nil || !slices.Equal(crd.Status.StoredVersions, []string{"v1"}) {
		t.Errorf("%v: stored versions %v", err, crd.Status.StoredVersions)
	}

	version := func(want string, labels map[string]string) {
		t.Helper()
		for _, crd := range installed.CRDs {
			patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := definitions.Patch(t.Context(), crd, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		out, errs, _ := everleafOn(t, cluster, ns, "version", "--short")
		if _, server, _ := strings.Cut(out, "\n"); server+errs != want {
			t.Errorf("version: %q, want %q", server+errs, want)
		}
	}
	version("Server Version: v1.21.0\n", map[string]string{"app.kubernetes.io/version": "v1.21.0"})
	version("everleaf: could not detect the cert-manager version\n", map[string]string{"app.kubernetes.io/version": ""})
}
