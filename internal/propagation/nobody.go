package propagation

import "strings"

// Silence names the servers of answers about one name, with what each does, if
// none says whether the name exists; otherwise it returns "". An answer without
// authority says it: where a network intercepts port 53, there are no others.
func Silence(answers []Answer) string {
	var silent []string
	for _, a := range answers {
		if a.Failure == NoFailure && (a.Target != "" || a.Rcode == "NOERROR" || a.Rcode == "NXDOMAIN") {
			return ""
		}
		silent = append(silent, a.who()+" "+a.says())
	}
	return strings.Join(few(silent), "; ")
}
