package facts

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unique"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// Facts of many objects say the same in many places: namespaces, issuers,
// annotation keys, the fields that we own. Each such value is held once. This is
// the greater part of what a cache of facts would cost.

// Shared returns a string equal to s that all callers share.
func Shared[T ~string](s T) T { return T(unique.Make(string(s)).Value()) }

const (
	// maxShared bounds the lists, and the maps, that are shared; more are seldom of use.
	maxShared = 1024
	// maxSharedSize bounds each, in bytes: anybody who may write an object decides
	// what is in it.
	maxSharedSize = 4096
)

// pool is what is shared, by what is in it. It begins anew when it is full, so that what
// came first does not stay for ever.
type pool[T any] struct {
	mu    sync.Mutex
	items map[string]T
}

// of returns what is shared for a key, and makes it if nothing is.
func (m *pool[T]) of(key string, make func() T) T {
	if len(key) > maxSharedSize {
		return make()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if found, ok := m.items[key]; ok {
		return found
	}
	made := make()
	if len(m.items) >= maxShared || m.items == nil {
		m.items = map[string]T{}
	}
	m.items[key] = made
	return made
}

var sharedLists pool[[]string]

// sharedList returns a list equal to s that all callers share and none changes.
func sharedList(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	return sharedLists.of(strings.Join(s, "\n"), func() []string {
		list := make([]string, len(s))
		for i, v := range s {
			list[i] = Shared(v)
		}
		return list
	})
}

var sharedMaps pool[map[string]string]

// sharedMap returns a map equal to m that all callers share and none changes: the labels
// of most objects are the same.
func sharedMap(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	var key strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		// A length before each string keeps different maps apart.
		fmt.Fprintf(&key, "%d %s%d %s", len(k), k, len(m[k]), m[k])
	}
	return sharedMaps.of(key.String(), func() map[string]string { return sharedKeys(m) })
}

// own are the annotations whose values differ from one object to the next. Such a value
// costs more if it is shared.
var own = []string{
	cmv1.CertificateNameAnnotationKey, cmv1.CommonNameAnnotationKey, cmv1.AltNamesAnnotationKey,
	cmv1.IPSANAnnotationKey, cmv1.URISANAnnotationKey, cmv1.EmailsAnnotationKey,
}

// sharedKeys returns a copy of m whose keys, and those values that recur, are
// shared.
func sharedKeys(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	shared := make(map[string]string, len(m))
	for k, v := range m {
		if v == "" || !slices.Contains(own, k) {
			v = Shared(v)
		}
		shared[Shared(k)] = v
	}
	return shared
}
