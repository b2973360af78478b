package v1

// ConditionStatus is the status of a condition: True, False or Unknown.
//
// +kubebuilder:validation:Enum=True;False;Unknown
type ConditionStatus string

const (
	// ConditionTrue means that the object is in the condition.
	ConditionTrue ConditionStatus = "True"
	// ConditionFalse means that the object is not in the condition.
	ConditionFalse ConditionStatus = "False"
	// ConditionUnknown means that nobody can tell whether it is.
	ConditionUnknown ConditionStatus = "Unknown"
)

const (
	// DefaultIssuerKind is what an empty IssuerReference.Kind stands for.
	DefaultIssuerKind = "Issuer"
	// DefaultIssuerGroup is what an empty IssuerReference.Group stands for.
	DefaultIssuerGroup = "cert-manager.io"
)

// TLSCAKey is the data key of a Secret that holds CA certificates in PEM. The
// keys beside it, tls.crt and tls.key, are those of k8s.io/api/core/v1.
const TLSCAKey = "ca.crt"

// LocalObjectReference names an object in a namespace that the referring field
// determines.
type LocalObjectReference struct {
	// Name of the object.
	Name string `json:"name"`
}

// IssuerReference names the issuer that is to sign.
//
// Kind and group are stored as they were written. Compare references with
// Equal or after WithDefaults, never field by field.
type IssuerReference struct {
	// Name of the issuer.
	Name string `json:"name"`
	// Kind of the issuer. Empty means Issuer.
	// +optional
	Kind string `json:"kind,omitempty"`
	// Group is the API group of the issuer. Empty means cert-manager.io.
	// +optional
	Group string `json:"group,omitempty"`
}

// WithDefaults returns the reference with kind and group spelled out.
func (r IssuerReference) WithDefaults() IssuerReference {
	if r.Kind == "" {
		r.Kind = DefaultIssuerKind
	}
	if r.Group == "" {
		r.Group = DefaultIssuerGroup
	}
	return r
}

// Equal tells whether two references name the same issuer.
func (r IssuerReference) Equal(other IssuerReference) bool {
	return r.WithDefaults() == other.WithDefaults()
}

// SecretKeySelector names one entry in the data of a Secret.
type SecretKeySelector struct {
	// Name of the Secret.
	LocalObjectReference `json:",inline"`
	// Key of the entry in the Secret's data. Where the field that refers to
	// the Secret has a usual key, it is used if this is empty; elsewhere a key
	// must be given.
	// +optional
	Key string `json:"key,omitempty"`
}
