package apicheck

// The parts that may not be ready. Those of the webhook are in the words of cert-manager,
// which tools match.
const (
	textCRDs         = "the cert-manager CRDs are not yet installed on the Kubernetes API server"
	textService      = "the cert-manager webhook service is not created yet"
	textRefused      = "the cert-manager webhook deployment is not ready yet"
	textCA           = "the cert-manager webhook CA bundle is not injected yet"
	textMutated      = "the cert-manager validating webhook failed because the dry-run CertificateRequest object was mutated incorrectly"
	textNotMutated   = "the cert-manager mutation webhook did not mutate the dry-run CertificateRequest object"
	textNotValidated = "the cert-manager validating webhook did not validate the dry-run CertificateRequest object"
	textFailed       = "failed to check the cert-manager API"

	textPolicyMutated      = "the cert-manager admission policies failed because the dry-run CertificateRequest object was mutated incorrectly"
	textPolicyNotMutated   = "the cert-manager mutating admission policy did not mutate the dry-run CertificateRequest object"
	textPolicyNotValidated = "the cert-manager validating admission policies did not validate the dry-run CertificateRequest object"
)

// What to look at.
const (
	hintCRDs          = "install the CRDs: set crds.enabled=true in the chart's values"
	hintService       = "look for it: kubectl get services -A -l app.kubernetes.io/component=webhook"
	hintWebhook       = "look at the webhook: kubectl get pods -A -l app.kubernetes.io/component=webhook, and its log"
	hintInjector      = "the cainjector writes it: kubectl get pods -A -l app.kubernetes.io/component=cainjector, and its log; without a cainjector (cainjector.enabled=false in the chart's values), write it yourself, or set everleaf.admission=policies"
	hintPath          = "the API server does not get an answer from the webhook: look at the webhook's pods, and at NetworkPolicies and firewalls between the API server and port https (10250) of these pods"
	hintOtherServer   = "another server than the webhook answers, or the host in the url of the configurations is none of the webhook's names: compare kubectl get endpointslices -A -l app.kubernetes.io/component=webhook with the webhook's pods; on the host network, port 10250 is the kubelet's: set webhook.securePort in the chart's values to a free port"
	hintConfigured    = "look at the configurations: kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations -l app.kubernetes.io/component=webhook; where policies are in their place, set --admission=policies"
	hintPolicies      = "the API server applies a policy some seconds after it is stored; look whether all are there: kubectl get mutatingadmissionpolicies,validatingadmissionpolicies,mutatingadmissionpolicybindings,validatingadmissionpolicybindings -l app.kubernetes.io/part-of=everleaf"
	hintOtherMutation = "another mutating webhook or policy changed the identity fields of the request: kubectl get mutatingwebhookconfigurations,mutatingadmissionpolicies"
	hintRole          = "if it says that a user cannot create certificaterequests, that account needs the verb create on certificaterequests.cert-manager.io in this namespace"
	hintForeign       = "this is not cert-manager's webhook: the namespace, or CertificateRequests, must be exempt from that one, or it must accept the request"
	hintAPIServer     = "the Kubernetes API server gave no answer: check the kubeconfig, and in a pod NetworkPolicies that keep it from the API server"
	hintWrongWebhook  = "admission policies refused it, and a webhook was expected: leave out --admission=webhook where policies are installed too"
	hintWrongPolicies = "cert-manager's webhook refused it, and policies were expected: leave out --admission=policies where the webhook is installed, or see whether the policies are in force"
)
