package providers

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// optional are the fields of a Factory that a provider may leave out.
var optional = []string{"Secrets", "Check", "Origin"}

// Each provider of the build has all that a Factory needs, its field in the API, and
// its place in cert-manager's order.
func TestAll(t *testing.T) {
	at := -1
	for _, f := range All() {
		v := reflect.ValueOf(f)
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			mayLack := slices.Contains(optional, name) || f.Name == "rfc2136" && name == "TTL"
			if v.Field(i).IsZero() && !mayLack {
				t.Errorf("%s: %s is missing", f.Name, name)
			}
		}
		if place := slices.Index(order, f.Name); place <= at {
			t.Errorf("%s has place %d, after %d", f.Name, place, at)
		} else {
			at = place
		}
		spec, field := of(f)
		if spec == nil {
			t.Errorf("%s: no field of the API selects it", f.Name)
			continue
		}
		if field != f.Name {
			t.Errorf("%s: field %s selects it", f.Name, field)
		}
		if got := f.Server(spec); got == "" {
			t.Errorf("%s: no server", f.Name)
		}
	}
}

// of returns the Spec with the one field that selects a Factory, and the field's name.
func of(f dns01.Factory) (*dns01.Spec, string) {
	fields := reflect.TypeFor[acmev1.ACMEChallengeSolverDNS01]()
	for i := range fields.NumField() {
		field := fields.Field(i)
		if field.Type.Kind() != reflect.Pointer {
			continue
		}
		spec := &dns01.Spec{}
		reflect.ValueOf(spec).Elem().Field(i).Set(reflect.New(field.Type.Elem()))
		if f.Selected(spec) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			return spec, name
		}
	}
	return nil, ""
}
