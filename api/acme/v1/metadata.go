package v1

// Kinds and resources of this group.
const (
	OrderKind     = "Order"
	ChallengeKind = "Challenge"

	OrderResource = "orders"
)

const (
	// ACMEFinalizer keeps a Challenge until what it presented is cleaned up.
	ACMEFinalizer = "acme.cert-manager.io/finalizer"
	// ACMELegacyFinalizer is an older name of ACMEFinalizer. It is replaced
	// where it is found.
	ACMELegacyFinalizer = "finalizer.acme.cert-manager.io"
)

// Annotations of a Certificate that change the HTTP-01 solver. They are copied
// to the CertificateRequest and the Order. At most one of the first three may
// be set.
const (
	ACMECertificateHTTP01IngressNameOverride      = "acme.cert-manager.io/http01-override-ingress-name"
	ACMECertificateHTTP01IngressClassOverride     = "acme.cert-manager.io/http01-override-ingress-class"
	ACMECertificateHTTP01IngressClassNameOverride = "acme.cert-manager.io/http01-override-ingress-ingressclassname"

	ACMECertificateHTTP01ParentRefName      = "acme.cert-manager.io/http01-parentrefname"
	ACMECertificateHTTP01ParentRefKind      = "acme.cert-manager.io/http01-parentrefkind"
	ACMECertificateHTTP01ParentRefNamespace = "acme.cert-manager.io/http01-parentrefnamespace"
)

// Annotations of an Ingress or ListenerSet that change the HTTP-01 solver.
const (
	// IngressEditInPlaceAnnotationKey, with the value true, adds the path of
	// the solver to this very Ingress.
	IngressEditInPlaceAnnotationKey           = "acme.cert-manager.io/http01-edit-in-place"
	IngressACMEIssuerHTTP01IngressClass       = "acme.cert-manager.io/http01-ingress-class"
	IngressACMEIssuerHTTP01IngressClassName   = "acme.cert-manager.io/http01-ingress-ingressclassname"
	ListenerSetHTTP01ParentRefFallbackEnabled = "acme.cert-manager.io/http01-parentreffallback"
)

// Labels by which the Pod, Service, Ingress and HTTPRoute of an HTTP-01 solver
// are found.
const (
	// DomainLabelKey holds Adler-32 of the DNS name, in decimal.
	DomainLabelKey = "acme.cert-manager.io/http-domain"
	// TokenLabelKey holds Adler-32 of the token, in decimal.
	TokenLabelKey = "acme.cert-manager.io/http-token"
	// SolverIdentificationLabelKey has the value true.
	SolverIdentificationLabelKey = "acme.cert-manager.io/http01-solver"
)

// Reasons of events on Orders.
const (
	EventReasonCreated  = "Created"
	EventReasonSolver   = "Solver"
	EventReasonComplete = "Complete"
)

// Reasons of events on Challenges.
const (
	EventReasonPresented      = "Presented"
	EventReasonPresentError   = "PresentError"
	EventReasonDomainVerified = "DomainVerified"
	EventReasonFailed         = "Failed"
	EventReasonCleanUpError   = "CleanUpError"
)
