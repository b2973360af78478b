package facts

import (
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

// OrderReplacesAnnotation counts, on an Order, the orders that it replaces.
const OrderReplacesAnnotation = "everleaf.io/replaced-orders"

// Order is what decisions about its CertificateRequest need to know of an
// Order. Its certificate is parsed once per version of the object.
type Order struct {
	Namespace, Name string
	UID             types.UID
	CreatedAt       time.Time
	Deleting        bool
	// Owner is the UID of the controlling object, empty without one.
	Owner  types.UID
	State  acmev1.State
	Reason string
	// Replaces counts the orders that this one replaces.
	Replaces int
	// Answer describes the certificate, if there is one.
	Answer Answer
}

// OfOrder derives the facts of an Order.
func OfOrder(o *acmev1.Order, limits pki.Limits) *Order {
	f := &Order{
		Namespace: Shared(o.Namespace), Name: o.Name, UID: o.UID,
		CreatedAt: o.CreationTimestamp.Time, Deleting: o.DeletionTimestamp != nil,
		State: o.Status.State, Reason: o.Status.Reason,
		Answer: AnswerOf(o.Status.Certificate, limits),
	}
	if owner := metav1.GetControllerOfNoCopy(o); owner != nil {
		f.Owner = owner.UID
	}
	if n, err := strconv.Atoi(o.Annotations[OrderReplacesAnnotation]); err == nil && n > 0 {
		f.Replaces = n
	}
	return f
}

// Newest is the newest of the Orders of a request, the one that counts, nil
// without any.
func Newest(orders []*Order) *Order {
	if len(orders) == 0 {
		return nil
	}
	return slices.MaxFunc(orders, func(a, b *Order) int { return a.CreatedAt.Compare(b.CreatedAt) })
}

// Ended reports whether nothing is asked of the ACME server for the order any
// more.
func (o *Order) Ended() bool {
	switch o.State {
	case acmev1.Invalid, acmev1.Expired, acmev1.Errored:
		return true
	default:
		return o.State == acmev1.Valid && o.HasCertificate()
	}
}

// HasCertificate reports whether the order holds a certificate.
func (o *Order) HasCertificate() bool { return o.Answer != (Answer{}) }
