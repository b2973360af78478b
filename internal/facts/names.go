package facts

import "strings"

// LongestName is the length of the longest name that an object can have.
const LongestName = 253

// CutName is the beginning of an object's name, of most bytes at most, to which "-"
// or "." and more can be appended: the API server refuses "a.-b" and "a-.b".
func CutName(name string, most int) string {
	if len(name) <= most {
		return name
	}
	return strings.TrimRight(name[:most], "-.")
}
