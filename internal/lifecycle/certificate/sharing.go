package certificate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/plan"
)

// SecretOwner is the name of the Certificate, of several that share a
// spec.secretName, whose Secret it is: the one that the Secret was issued for,
// else the oldest, else the first by name. One that is being deleted is not
// waited for.
func SecretOwner(sharing []cmv1.Certificate, secret *facts.Secret) string {
	staying := slices.DeleteFunc(slices.Clone(sharing), func(c cmv1.Certificate) bool { return c.DeletionTimestamp != nil })
	if len(staying) > 0 {
		sharing = staying
	}
	if secret != nil {
		for i := range sharing {
			if name := secret.Annotations[cmv1.CertificateNameKey]; sharing[i].Name == name {
				return name
			}
		}
	}
	oldest := slices.MinFunc(sharing, func(a, b cmv1.Certificate) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	return oldest.Name
}

// ReasonShared is the reason of Issuing while a Certificate issues nothing because
// its Secret belongs to another.
const ReasonShared = "SecretShared"

// awaitOwner says that the Certificate waits for another to make their Secret, as
// long as the Secret does not say so. An issuance that a user has asked for, or that
// another process has begun, ends: it would take the Secret from its owner. That is
// said for as long as the Secret is the other's.
func (c State) awaitOwner(p *Plan, now time.Time) {
	begun := condition.Find(c.Object.Status.Conditions, cmv1.CertificateConditionIssuing)
	if c.SecretOwnedBy != "" {
		shared := fmt.Sprintf(
			`Secret "%s/%s" belongs to Certificate %q, which has the same spec.secretName; use another spec.secretName`+rechecked,
			c.Object.Namespace, c.Object.Spec.SecretName, c.SecretOwnedBy)
		refused := "Nothing is issued: " + shared
		if issuing(c.Object.Status) {
			c.set(p, cmv1.CertificateConditionIssuing, cmmeta.ConditionFalse, ReasonShared, refused, now)
			p.Events = append(p.Events, plan.Event{Warning: true, Reason: ReasonShared, Message: refused, Component: ManagerIssuing})
			return
		}
		if begun != nil && begun.Reason == ReasonShared && begun.Message == refused {
			return
		}
		if v := c.needsIssuing(now); v != nil && v.Reason != cmv1.CertificateReasonIncorrectCertificate {
			c.set(p, cmv1.CertificateConditionIssuing, cmmeta.ConditionFalse, ReasonShared, shared, now)
			return
		}
	}
	if begun != nil && begun.Reason == ReasonShared {
		p.Status.Conditions = condition.Remove(p.Status.Conditions, cmv1.CertificateConditionIssuing)
	}
}
