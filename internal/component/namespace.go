package component

import "k8s.io/apimachinery/pkg/util/validation"

// CheckNamespace complains about the value of a flag that is not the name of a
// namespace.
func CheckNamespace(flag, name string, mayBeEmpty bool, bad Complaint) {
	if wrong := validation.IsDNS1123Label(name); len(wrong) > 0 && (name != "" || !mayBeEmpty) {
		bad(flag, "%q is not the name of a namespace: %s", name, wrong[0])
	}
}
