package facts

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
