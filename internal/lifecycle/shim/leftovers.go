package shim

import (
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/plan"
)

// leftover is a part of a Certificate about which the object says nothing: it did so
// before, or somebody else has set it.
type leftover struct {
	// path is that of managedFields.
	path   []string
	value  any
	remove func(*cmv1.Certificate)
}

// leftovers are those of a Certificate that the object controls.
func (w Wanted) leftovers(existing, wanted *cmv1.Certificate) []leftover {
	var found []leftover
	for _, key := range w.managed {
		value, has := existing.Annotations[key]
		if _, ok := wanted.Annotations[key]; has && !ok {
			found = append(found, leftover{[]string{"f:metadata", "f:annotations", "f:" + key}, value, func(c *cmv1.Certificate) { delete(c.Annotations, key) }})
		}
	}
	have, want := &existing.Spec, &wanted.Spec
	field := func(name string, value any, remove func(*cmv1.Certificate)) {
		found = append(found, leftover{[]string{"f:spec", "f:" + name}, value, remove})
	}
	if !w.usages && len(have.Usages) > 0 && !slices.Equal(have.Usages, want.Usages) {
		field("usages", have.Usages, func(c *cmv1.Certificate) { c.Spec.Usages = want.Usages })
	}
	if have.Subject != nil && want.Subject == nil {
		field("subject", have.Subject, func(c *cmv1.Certificate) { c.Spec.Subject = nil })
	}
	if len(have.EmailAddresses) > 0 && want.EmailAddresses == nil {
		field("emailAddresses", have.EmailAddresses, func(c *cmv1.Certificate) { c.Spec.EmailAddresses = nil })
	}
	if have.SecretTemplate != nil && want.SecretTemplate == nil {
		field("secretTemplate", have.SecretTemplate, func(c *cmv1.Certificate) { c.Spec.SecretTemplate = nil })
	}
	if have.RenewBeforePercentage != nil && want.RenewBeforePercentage == nil {
		field("renewBeforePercentage", *have.RenewBeforePercentage, func(c *cmv1.Certificate) { c.Spec.RenewBeforePercentage = nil })
	}
	return found
}

// describeLeftovers tells leftovers apart, "" for none.
func describeLeftovers(all []leftover) string {
	text := ""
	for _, rest := range all {
		value, err := json.Marshal(rest.value)
		if err != nil {
			value = []byte(err.Error())
		}
		text += fmt.Sprintf("%q=%s\n", rest.path, value)
	}
	return text
}

// Written are the parts of a Certificate that have been written for the object. The
// zero value has none.
type Written struct {
	// sets are the sets of fields of managedFields.
	sets []map[string]any
}

// WrittenFor returns what has been written for an object of a kind, by the managed
// fields of its Certificate. "controller" is the name of cert-manager's program, under
// which older versions wrote.
func WrittenFor(kind string, entries []metav1.ManagedFieldsEntry) Written {
	var w Written
	for _, entry := range entries {
		if entry.FieldsV1 == nil || entry.Subresource != "" || (entry.Manager != ManagerOf(kind) && entry.Manager != "controller") {
			continue
		}
		var set map[string]any
		if json.Unmarshal([]byte(entry.FieldsV1.GetRawString()), &set) == nil {
			w.sets = append(w.sets, set)
		}
	}
	return w
}

// has reports whether a part has been written for the object.
func (w Written) has(path []string) bool {
	return slices.ContainsFunc(w.sets, func(set map[string]any) bool {
		for _, name := range path {
			inner, ok := set[name].(map[string]any)
			if !ok {
				return false
			}
			set = inner
		}
		return true
	})
}

// look is what is known of the leftovers of a Certificate.
type look struct {
	// of describes them.
	of      string
	written Written
}

// Look reads the managed fields of a Certificate, for State.Looked.
type Look struct {
	Certificate *cmv1.Certificate
	of          string
}

// String implements plan.Action.
func (a Look) String() string { return "read the managed fields of Certificate " + a.Certificate.Name }

// Looked remembers what has been found.
func (s State) Looked(a Look, written Written) {
	if s.Memory.looked == nil {
		s.Memory.looked = map[string]look{}
	}
	s.Memory.looked[a.Certificate.Name] = look{a.of, written}
}

// update is the action that brings a Certificate that the object controls up to date,
// nil for none. Who has written its leftovers, a cache does not tell.
func (s State) update(existing, wanted *cmv1.Certificate) plan.Action {
	of := describeLeftovers(s.Wanted.leftovers(existing, wanted))
	known := s.Memory.looked[existing.Name]
	if of != "" && known.of != of {
		return Look{existing, of}
	}
	if c := s.Wanted.brought(existing, wanted, known.written); !equality.Semantic.DeepEqual(existing, c) {
		return Update{existing, c}
	}
	return nil
}
