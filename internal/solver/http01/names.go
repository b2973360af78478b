package http01

import (
	"crypto/sha256"
	"encoding/base32"
	"hash/adler32"
	"maps"
	"net/netip"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/solver"
)

const (
	// namePrefix begins the names of all objects of a solver. NetworkPolicies, dashboards
	// and people go by it.
	namePrefix = "cm-acme-http-solver-"
	// Port is the port of the Service, and of a solver's pod.
	Port = 8089
	// portName is the name of that port.
	portName = "http"
	// pathPrefix is where a CA looks for tokens (RFC 8555 section 8.3).
	pathPrefix = "/.well-known/acme-challenge/"
)

// path is where the CA looks for a Challenge's key authorization.
func path(c solver.Challenge) string { return pathPrefix + c.Token }

// host is the host of a Challenge's route: none for an IP address, which is no host name of
// an Ingress or an HTTPRoute.
func host(c solver.Challenge) string {
	if _, err := netip.ParseAddr(c.DNSName); err == nil {
		return ""
	}
	return c.DNSName
}

// nameOf is the name of a Challenge's Service and route: always the same, so that a process
// which ends before the status says that they exist makes no second ones.
func nameOf(c solver.Challenge) string {
	sum := sha256.Sum256([]byte(c.UID))
	return namePrefix + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:7]))[:10]
}

// identityKeys are the keys of identity.
var identityKeys = []string{acmev1.DomainLabelKey, acmev1.TokenLabelKey, acmev1.SolverIdentificationLabelKey}

// identity are the labels by which the objects of a Challenge are found.
func identity(c solver.Challenge) map[string]string {
	sum := func(s string) string { return strconv.FormatUint(uint64(adler32.Checksum([]byte(s))), 10) }
	return map[string]string{
		acmev1.DomainLabelKey:               sum(c.DNSName),
		acmev1.TokenLabelKey:                sum(c.Token),
		acmev1.SolverIdentificationLabelKey: "true",
	}
}

// labels are those of an object of a Challenge: the identity, which extra cannot change,
// and those of a template, which can.
func labels(c solver.Challenge, extra, template map[string]string) map[string]string {
	all := maps.Clone(extra)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, identity(c))
	maps.Copy(all, template)
	return all
}

// metadata is that of an object of a Challenge. It says generateName too, as cert-manager's
// objects do: with a name, the API server only keeps it.
func metadata(c solver.Challenge, labels, annotations map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: c.Namespace, Name: nameOf(c), GenerateName: namePrefix, Labels: labels, Annotations: annotations,
		OwnerReferences: []metav1.OwnerReference{ownerOf(c)},
	}
}

func ownerOf(c solver.Challenge) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: acmev1.SchemeGroupVersion.String(), Kind: acmev1.ChallengeKind, Name: c.Name, UID: c.UID,
		Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
	}
}
