package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// TestVerdict holds that a verdict is written once, and that other conditions stay.
func TestVerdict(t *testing.T) {
	now := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	at := metav1.NewTime(now)
	pending := cmv1.CertificateRequestCondition{Type: "Ready", Status: cmmeta.ConditionFalse, Reason: "Pending"}
	is := func(kind cmv1.CertificateRequestConditionType, status cmmeta.ConditionStatus) cmv1.CertificateRequestCondition {
		return cmv1.CertificateRequestCondition{Type: kind, Status: status, Reason: "Me", Message: "why", LastTransitionTime: &at}
	}
	type conditions = []cmv1.CertificateRequestCondition
	for name, test := range map[string]struct {
		verdict verdict
		before  conditions
		want    conditions
		refusal string
	}{
		"approve":                {approval, conditions{pending}, conditions{pending, is("Approved", "True")}, ""},
		"deny":                   {denial, nil, conditions{is("Denied", "True")}, ""},
		"approve, was False":     {approval, conditions{is("Approved", "False")}, conditions{is("Approved", "True")}, ""},
		"approve what is":        {approval, conditions{is("Approved", "True")}, nil, "CertificateRequest is already approved"},
		"deny what is approved":  {denial, conditions{is("Approved", "True")}, nil, "CertificateRequest is already approved"},
		"approve what is denied": {approval, conditions{is("Denied", "True")}, nil, "CertificateRequest is already denied"},
	} {
		got, err := test.verdict.on(test.before, "Me", "why", now)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		if text := errorText(err); text != test.refusal {
			t.Errorf("%s: %q, want %q", name, text, test.refusal)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestPeopleRefuse has wrong arguments of the commands for people. No cluster is asked.
func TestPeopleRefuse(t *testing.T) {
	for args, want := range map[string]string{
		"status":                             "status what? There is: certificate NAME",
		"status issuer a":                    `status: there is no "issuer"; there is: certificate NAME`,
		"status certificate":                 "the name of the Certificate has to be provided as an argument",
		"status certificate a b":             "only one argument can be passed: the name of the Certificate",
		"status certificate a -o table":      `--output: must be json, yaml or nothing, not "table"`,
		"renew":                              "please either supply one or more Certificate resource names, label selectors, or use the --all flag to renew all Certificate resources",
		"renew a --all":                      `cannot specify the Certificate resource names ["a"] in conjunction with the --all flag`,
		"renew -l (a":                        "--selector: ",
		"renew a --wait --timeout=0s":        "--timeout: must be greater than 0, not 0s",
		"renew a --kubeconfig=/no/such/file": "find the cluster: stat /no/such/file",
		"approve":                            "the name of the CertificateRequest to approve has to be provided as an argument",
		"deny":                               "the name of the CertificateRequest to deny has to be provided as an argument",
		"approve a b":                        "only one argument can be passed: the name of the CertificateRequest",
		"approve a --reason=":                "a reason must be given as to who approved this CertificateRequest",
		"deny a --message=":                  "a message must be given as to why this CertificateRequest is denied",
		"deny a --kubeconfig=/no/such/file":  "find the cluster: stat /no/such/file",
		"status certificate a --logging-format=xml": "--logging-format: ",
		"inspect secret":           "the name of the Secret has to be provided as an argument",
		"inspect secret a -o text": `--output: must be json, yaml or nothing, not "text"`,
		"inspect pod a":            `inspect: there is no "pod"; there is: secret NAME`,
		"create":                   "create what? There is: certificaterequest NAME",
		"create cr":                "the name of the CertificateRequest has to be provided as an argument",
		"create cr a":              "the path to a YAML manifest of a Certificate resource cannot be empty, please specify by using --from-certificate-file flag",
		"create cr a --from-certificate-file b --fetch-certificate --output-key-file=./a.x --output-certificate-file=a.x": "the file to store private key cannot be the same as the file to store certificate",
		"create cr a --from-certificate-file b --output-certificate-file=c":                                               "cannot specify file to store certificate if not waiting for and fetching certificate, please set --fetch-certificate flag",
		"create cr a --from-certificate-file /no/such/file":                                                               "--from-certificate-file: the path \"/no/such/file\" does not exist",
		"create cr a --from-certificate-file b --fetch-certificate --timeout=0s":                                          "--timeout: must be greater than 0, not 0s",
		"x create csr":               "the name of the CertificateSigningRequest has to be provided as an argument",
		"x install --set a=b --wait": "everleaf does not run Helm; run it yourself, with the same --set, --values, --version and --wait: helm install cert-manager ",
		"experimental uninstall":     "everleaf does not run Helm; run it yourself, with the same --set, --values, --version and --wait: helm uninstall cert-manager ",
		"convert":                    "must specify one of -f and -k",
		"convert -f a -k b":          "only one of -f and -k can be specified",
		"convert -f a -o table":      `--output: must be yaml or json, not "table"`,
		"convert -f a --output-version=cert-manager.io/v1alpha2": `--output-version: objects are converted to cert-manager.io/v1 and acme.cert-manager.io/v1, not to "cert-manager.io/v1alpha2"`,
		"upgrade migrate-api-version --qps=0":                    "--qps: must be greater than 0, not 0",
		"upgrade migrate-api-version --burst=0":                  "--burst: must be greater than 0, not 0",
		"completion":                                             "for which shell? There are: bash, zsh, fish, powershell, kubectl",
		"report -o pdf":                                          `--output: must be html, json, yaml or nothing, not "pdf"`,
		"completion tcsh":                                        `there is no completion for "tcsh"; there are: bash, zsh, fish, powershell, kubectl`,
	} {
		var out, errs strings.Builder
		status := Main(t.Context(), strings.Fields(args), &out, &errs)
		if status != 1 || !strings.HasPrefix(errs.String(), "everleaf: "+want) || out.Len() > 0 {
			t.Errorf("%s: exit status %d\ngot  %s%s\nwant everleaf: %s", args, status, errs.String(), out.String(), want)
		}
	}
}
