package local

import (
	"crypto/x509/pkix"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// ControllerUser is the user name of the controllers that Run starts. It is the
// service account that they have in a cluster, so that the roles, and the
// requester in CertificateRequests, are the same.
const ControllerUser = "system:serviceaccount:" + Namespace + ":cert-manager"

// mastersGroup has all permissions, whatever the roles contain.
const mastersGroup = "system:masters"

// contextName is the name of cluster, user and context in kubeconfig files.
const contextName = "everleaf-local"

// ConfigFor returns a client configuration that authenticates as a user with
// groups, without a client-side rate limit. RBAC decides what the user may do.
func (c *ControlPlane) ConfigFor(user string, groups ...string) (*rest.Config, error) {
	certPEM, keyPEM, err := c.ca.issue(pkix.Name{CommonName: user, Organization: groups}, time.Now())
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host:            c.Server(),
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca.PEM(), CertData: certPEM, KeyData: keyPEM},
		QPS:             -1,
	}, nil
}

// ControllerConfig returns the configuration for the controllers.
func (c *ControlPlane) ControllerConfig() (*rest.Config, error) {
	return c.ConfigFor(ControllerUser, "system:serviceaccounts", "system:serviceaccounts:"+Namespace)
}

// writeKubeconfig writes the configuration for a user with groups as a
// self-contained kubeconfig, mode 0600, and returns it.
func (c *ControlPlane) writeKubeconfig(path, user string, groups ...string) (*rest.Config, error) {
	config, err := c.ConfigFor(user, groups...)
	if err != nil {
		return nil, err
	}
	text, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{contextName: {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{contextName: {ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}},
		Contexts:       map[string]*clientcmdapi.Context{contextName: {Cluster: contextName, AuthInfo: contextName}},
		CurrentContext: contextName,
	})
	if err != nil {
		return nil, err
	}
	return config, writeFile(path, text)
}
