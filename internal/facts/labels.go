package facts

import "strings"

// ContainsAll reports whether a map, such as an object's labels, has all entries
// of another.
func ContainsAll(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// Copied reports whether an annotation is copied from a Certificate to its request: by the
// last prefix that matches, "-" excluding and "*" matching all.
func Copied(prefixes []string, key string) bool {
	take := false
	for _, p := range prefixes {
		exclude := strings.HasPrefix(p, "-")
		p = strings.TrimPrefix(p, "-")
		if p == "*" || strings.HasPrefix(key, p) {
			take = !exclude
		}
	}
	return take
}
