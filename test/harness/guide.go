package harness

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/everleaf/everleaf/test/pebble"
)

// guide is the manifest of cert-manager's guide to RFC 2136, with its ellipsis.
const guide = `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  name: example-issuer
spec:
  acme:
    ...
    solvers:
    - dns01:
        rfc2136:
          nameserver: 1.2.3.4:53
          tsigKeyName: example-com-secret
          tsigAlgorithm: HMACSHA512
          tsigSecretSecretRef:
            name: tsig-secret
            key: tsig-secret-key
`

// GuideManifest fills in what the guide to RFC 2136 leaves out, and real addresses. kind
// is that of the issuer.
func GuideManifest(kind, nameserver string, ca *pebble.Server) string {
	acme := fmt.Sprintf("server: %s\n    caBundle: %s\n    privateKeySecretRef:\n      name: example-issuer-account-key",
		ca.DirectoryURL, base64.StdEncoding.EncodeToString(ca.CABundle))
	return strings.NewReplacer("kind: Issuer", "kind: "+kind, "1.2.3.4:53", nameserver, "...", acme).Replace(guide)
}
