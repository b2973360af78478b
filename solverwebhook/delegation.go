package solverwebhook

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

// The ConfigMap in which the API server says which authority signs the certificate
// that it shows to servers behind its aggregation layer, and in which headers it says
// who asks. https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/
const (
	proxyNamespace = metav1.NamespaceSystem
	proxyConfigMap = "extension-apiserver-authentication"
)

// accessRecheck is how often the right to read the ConfigMap is checked while it is
// missing.
const accessRecheck = 5 * time.Second

// trust is the API server's proxy, as its ConfigMap describes it now.
type trust struct {
	// recheck is accessRecheck, or less in tests.
	recheck   time.Duration
	authority *dynamiccertificates.ConfigMapCAController
	headers   *headerrequest.RequestHeaderAuthRequestController
}

func newTrust(client kubernetes.Interface) (*trust, error) {
	authority, err := dynamiccertificates.NewDynamicCAFromConfigMapController("requestheader", proxyNamespace, proxyConfigMap, "requestheader-client-ca-file", client)
	if err != nil {
		return nil, err
	}
	return &trust{recheck: accessRecheck, authority: authority, headers: headerrequest.NewRequestHeaderAuthRequestController(proxyConfigMap, proxyNamespace, client,
		"requestheader-username-headers", "requestheader-uid-headers", "requestheader-group-headers", "requestheader-extra-headers-prefix", "requestheader-allowed-names")}, nil
}

// run follows the ConfigMap until ctx ends. Before that it waits for the right to read
// it: the watches would log its absence again and again.
func (t *trust) run(ctx context.Context, client kubernetes.Interface) {
	said := ""
	err := wait.PollUntilContextCancel(ctx, t.recheck, true, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ConfigMaps(proxyNamespace).Get(ctx, proxyConfigMap, metav1.GetOptions{})
		if message := missing(ctx, client, err); message != said && ctx.Err() == nil {
			said = message
			if message != "" {
				klog.ErrorS(nil, message)
			}
		}
		return err == nil, nil
	})
	if err != nil {
		return
	}
	go t.headers.Run(ctx, 1)
	t.authority.Run(ctx, 1)
}

// missing says why the ConfigMap cannot be read, and the command that cures it; ""
// without an error.
func missing(ctx context.Context, client kubernetes.Interface, err error) string {
	switch {
	case err == nil:
		return ""
	case apierrors.IsForbidden(err):
		return fmt.Sprintf("Not ready: this service account may not read ConfigMap %s/%s, by which the server recognizes the API server. Run: %s", proxyNamespace, proxyConfigMap, bindCommand(ctx, client))
	default:
		return fmt.Sprintf("Not ready: ConfigMap %s/%s cannot be read: %v", proxyNamespace, proxyConfigMap, err)
	}
}

// bindCommand is the command that lets this process read the ConfigMap.
func bindCommand(ctx context.Context, client kubernetes.Interface) string {
	subject, name := "--serviceaccount=NAMESPACE:NAME", "solver-webhook"
	if who, err := whoAmI(ctx, client); err == nil {
		subject, name = who.flag, who.binding
	}
	return fmt.Sprintf("kubectl create rolebinding %s-authentication-reader --namespace=%s --role=extension-apiserver-authentication-reader %s", name, proxyNamespace, subject)
}

// ready says why the server cannot recognize the API server, or "".
func (t *trust) ready() string {
	if _, ok := t.authority.VerifyOptions(); !ok {
		return fmt.Sprintf("the API server's proxy authority is not known: ConfigMap %s/%s has not been read, or has no requestheader-client-ca-file; see the log", proxyNamespace, proxyConfigMap)
	}
	if len(t.headers.UsernameHeaders()) == 0 {
		return fmt.Sprintf("ConfigMap %s/%s names no header for user names", proxyNamespace, proxyConfigMap)
	}
	return ""
}

// authenticator says for whom the API server sends a request. Nobody else can send
// one: in a cluster nothing asks a solver but through the API server.
func (t *trust) authenticator() authenticator.Request {
	return group.NewAuthenticatedGroupAdder(headerrequest.NewDynamicVerifyOptionsSecure(
		t.authority.VerifyOptions,
		headerrequest.StringSliceProviderFunc(t.headers.AllowedClientNames),
		headerrequest.StringSliceProviderFunc(t.headers.UsernameHeaders),
		headerrequest.StringSliceProviderFunc(t.headers.UIDHeaders),
		headerrequest.StringSliceProviderFunc(t.headers.GroupHeaders),
		headerrequest.StringSliceProviderFunc(t.headers.ExtraHeaderPrefixes),
	))
}
