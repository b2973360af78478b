package integration

import (
	"context"
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/vault"
)

var (
	pageIndented = regexp.MustCompile(`(?m)(?:^    .*\n|^\n(?:    .*\n))+`)
	pageInline   = regexp.MustCompile("`(vault [^`]*)`")
	// pageGetIssuer finds the command that shows an Issuer, which a reader repeats until
	// it is ready.
	pageGetIssuer = regexp.MustCompile(`get issuer (\S+) -o wide`)
)

// vaultPage is the documentation of the issuer, for a lab with a Vault.
type vaultPage struct {
	*page
	vault *vault.Server
	// printed has what commands printed, by their first two words, and issuers those that
	// were applied.
	printed map[string]string
	issuers []*unstructured.Unstructured
}

// TestVaultPage does what the documentation says, in its sequence: its commands set up a
// Vault, and each of its Issuers has a certificate signed.
func TestVaultPage(t *testing.T) {
	aws := newFakeAWS(t, "everleaf-vault")
	p := newVaultPage(t, aws)
	at := 0
	for _, block := range pageManifests.FindAllStringSubmatchIndex(p.text, -1) {
		p.doesIndented(t, p.text[at:block[0]])
		p.appliesAll(t, p.text[block[2]:block[3]])
		at = block[1]
	}
	p.doesIndented(t, p.text[at:])
	p.runsInline(t, "vault write pki_int/issuers/import/cert pem_bundle=@root.pem", "vault token renew", "vault operator unseal", "vault operator init")
	p.addsAudience(t)

	var issuers []string
	for _, issuer := range p.issuers {
		issuers = append(issuers, issuer.GetName())
	}
	slices.Sort(issuers)
	if want := []string{"vault-approle", "vault-aws", "vault-certificate", "vault-own-ca", "vault-service-account", "vault-token"}; !slices.Equal(issuers, want) {
		t.Errorf("the page has the Issuers %q, want %q", issuers, want)
	}
	for _, issuer := range issuers {
		p.says(t, issuer, cmmeta.ConditionTrue)
	}
	p.issues(t, "vault-web", issuers)
}

// doesIndented does the indented blocks in a part of the page.
func (p *vaultPage) doesIndented(t *testing.T, part string) {
	t.Helper()
	for _, block := range pageIndented.FindAllString(part, -1) {
		block = strings.ReplaceAll(strings.Trim(block, "\n")+"\n", "\n    ", "\n")
		block = strings.TrimPrefix(block, "    ")
		switch first, _, _ := strings.Cut(block, " "); first {
		case "export", "vault", "kubectl":
			if issuer := pageGetIssuer.FindStringSubmatch(block); issuer != nil {
				p.says(t, issuer[1], cmmeta.ConditionTrue)
			}
			p.runs(t, block)
		case "NAME":
			if got, want := withoutAge(p.printed["kubectl -n"]), withoutAge(block); !slices.Equal(got, want) {
				t.Errorf("kubectl prints %q, want %q", got, want)
			}
		default:
			// A part of a policy, or values of the chart.
			if err := yaml.UnmarshalStrict([]byte(block), &map[string]any{}); err != nil {
				t.Errorf("%v\n%s", err, block)
			}
		}
	}
}

func newVaultPage(t *testing.T, aws *fakeAWS) *vaultPage {
	t.Helper()
	l := newLab(t, harness.Controllers{Options: func(o *operator.Options) { o.VendorHTTP = aws }})
	server := vault.Start(t, vault.Options{})
	config := l.RESTConfig()
	p := &vaultPage{page: newPage(t, l, "issuers/vault.md"), vault: server, printed: map[string]string{}}
	p.path = newVaultCommand(t) + ":" + p.path
	p.replaces = map[string]string{
		"https://vault.example.com:8200": server.URL,
		"VAULT_TOKEN=...":                "VAULT_TOKEN=" + server.RootToken,
		"namespace: default":             "namespace: " + l.ns,
		"-n default ":                    "-n " + l.ns + " ",
		"vault://default/":               "vault://" + l.ns + "/",
		"namespaces=default":             "namespaces=" + l.ns,
		"serviceaccount=default:":        "serviceaccount=" + l.ns + ":",
		"clusterrolebinding vault-":      "clusterrolebinding " + l.ns + "-vault-",
		// This Vault is in no pod.
		"kubernetes_host=https://kubernetes.default.svc ": "kubernetes_host=" + config.Host + " kubernetes_ca_cert=@ca.crt ",
		// Nobody here can sign for the AWS that has these names.
		"vault write auth/aws/role": "vault write auth/aws/config/client use_sts_region_from_client=false sts_region=eu-west-1 sts_endpoint=" + aws.server.URL +
			" iam_endpoint=" + aws.server.URL + " access_key=AKIATEST secret_key=secret\nvault write auth/aws/role",
	}
	clients, err := vault.NewAuthority("clients")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := clients.Client("everleaf")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"ca.pem": server.Authority.PEM, "vault.pem": server.Authority.PEM, "ca.crt": config.CAData, "root.pem": clients.PEM,
		"client-ca.pem": clients.PEM, "client.pem": pair.Certificate, "client.key": pair.Key,
	} {
		p.writes(t, name, content)
	}
	t.Cleanup(func() {
		_ = l.Delete(context.Background(), &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: l.ns + "-vault-issuer"}})
	})
	return p
}

// runs runs commands of the page.
func (p *vaultPage) runs(t *testing.T, commands string) {
	t.Helper()
	for _, command := range commandsOf(commands) {
		words := strings.Fields(command)
		p.printed[strings.Join(words[:2], " ")] = p.run(t, command,
			"VAULT_ADDR="+p.vault.URL, "VAULT_TOKEN="+p.vault.RootToken, "VAULT_CACERT="+filepath.Join(p.dir, "vault.pem"))
	}
}

// commandsOf splits the lines of a shell where a command ends.
func commandsOf(lines string) []string {
	var commands []string
	end, whole := "", true
	for line := range strings.Lines(lines) {
		if whole {
			commands = append(commands, "")
			if _, word, here := strings.Cut(line, "<<"); here {
				end = strings.TrimSpace(word)
			}
		}
		commands[len(commands)-1] += line
		switch {
		case end != "":
			whole = strings.TrimSpace(line) == end
		default:
			whole = !strings.HasSuffix(line, "\\\n")
		}
		if whole {
			end = ""
		}
	}
	return commands
}

// runsInline runs the commands in the page's sentences, which are these. Those of an
// operator ask for keys.
func (p *vaultPage) runsInline(t *testing.T, want ...string) {
	t.Helper()
	var found []string
	for _, command := range pageInline.FindAllStringSubmatch(p.text, -1) {
		if found = append(found, command[1]); !strings.HasPrefix(command[1], "vault operator ") {
			p.runs(t, strings.Replace(command[1], "vault token renew", `VAULT_TOKEN="$(vault token create -period=72h -policy=everleaf-web -field=token)" vault token renew`, 1))
		}
	}
	slices.Sort(found)
	slices.Sort(want)
	if !slices.Equal(found, want) {
		t.Errorf("the sentences of the page have the commands %q, want %q", found, want)
	}
}

// appliesAll applies a block of manifests, with the role id that Vault has printed. Its
// Issuers trust the lab's Vault.
func (p *vaultPage) appliesAll(t *testing.T, block string) {
	t.Helper()
	p.replaces["paste-the-role-id-here"] = p.printed["vault read"]
	for _, object := range p.objectsOf(t, block) {
		if object.GetKind() == cmv1.IssuerKind {
			config := object.Object["spec"].(map[string]any)["vault"].(map[string]any)
			if config["caBundleSecretRef"] == nil {
				config["caBundle"] = (&vaultLab{vault: p.vault}).bundle()
			}
			p.issuers = append(p.issuers, object)
		}
		p.applies(t, object)
	}
}

// addsAudience has a service account's token be for the API server too, as the page says of
// a Vault that is in no pod. One of its commands prints the audience.
func (p *vaultPage) addsAudience(t *testing.T) {
	t.Helper()
	var openID struct{ Issuer string }
	if err := json.Unmarshal([]byte(p.printed["kubectl get"]), &openID); err != nil {
		t.Fatal(err)
	}
	account := []string{"spec", "vault", "auth", "kubernetes", "serviceAccountRef"}
	for _, issuer := range p.issuers {
		_, found, err := unstructured.NestedMap(issuer.Object, account...)
		if err == nil && found {
			err = unstructured.SetNestedStringSlice(issuer.Object, []string{openID.Issuer}, append(account, "audiences")...)
		}
		if err != nil {
			t.Fatal(err)
		}
		if found {
			p.applies(t, issuer)
		}
	}
}
