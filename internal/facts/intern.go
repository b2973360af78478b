package facts

import (
	"strings"
	"sync"
	"unique"
)

// Facts of many objects say the same in many places: namespaces, issuers,
// annotation keys, the fields that we own. Each such value is held once. This is
// the greater part of what a cache of facts would cost.

// Shared returns a string equal to s that all callers share.
func Shared[T ~string](s T) T { return T(unique.Make(string(s)).Value()) }

// maxShared bounds the lists that are shared; more are seldom of use.
const maxShared = 1024

var sharedLists = struct {
	sync.Mutex
	items map[string][]string
}{items: map[string][]string{}}

// sharedList returns a list equal to s that all callers share and none changes.
func sharedList(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	key := strings.Join(s, "\n")
	sharedLists.Lock()
	defer sharedLists.Unlock()
	if found, ok := sharedLists.items[key]; ok {
		return found
	}
	list := make([]string, len(s))
	for i, v := range s {
		list[i] = Shared(v)
	}
	if len(sharedLists.items) < maxShared {
		sharedLists.items[key] = list
	}
	return list
}

// sharedKeys returns a copy of m whose keys, and those values that recur, are
// shared.
func sharedKeys(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	shared := make(map[string]string, len(m))
	for k, v := range m {
		shared[Shared(k)] = Shared(v)
	}
	return shared
}
