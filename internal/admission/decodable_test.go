package admission

import (
	"fmt"
	"strings"

	"github.com/everleaf/everleaf/internal/validation/validationtest"
)

func decodableCases() map[string]validationtest.Case {
	const notDuration, notTime = "must be a duration in h, m and s, such as 2160h", "must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z"
	refused := func(path, value, why string) string { return path + `: Invalid value: "` + value + `": ` + why }
	cases := map[string]validationtest.Case{
		"duration":     {Object: validationtest.Certificate(`duration: +1.5h.5h30m, renewBefore: 0001000000µs3600s`)},
		"longest":      {Object: validationtest.Certificate(`duration: 2562047h47m16s`)},
		"large window": {Object: validationtest.Certificate(`renewal: {policy: RenewBefore, windows: [{cron: "@daily", windowDuration: 1.5h}]}`)},
		"times": {
			Stored: validationtest.Certificate(``),
			Object: validationtest.WithStatus(validationtest.Certificate(``), `notBefore: "2020-01-01T00:00:00Z", notAfter: "2020-01-01T00:00:00.123456789+01:00", renewalTime: null`),
		},
	}
	for name, test := range map[string]struct{ object, path string }{
		"Certificate": {validationtest.Certificate(`duration: 90d`), "spec.duration"},
		"renewal":     {validationtest.Certificate(`renewBefore: 90d`), "spec.renewBefore"},
		"request":     {validationtest.Request(`duration: 90d`), "spec.duration"},
		"Order":       {strings.Replace(validationtest.Order, "YQ==", "YQ==, duration: 90d", 1), "spec.duration"},
		"Issuer":      {validationtest.WithSolver(`http01: {ingress: {}}, waitInsteadOfSelfCheck: 90d`), validationtest.SolverAt + ".waitInsteadOfSelfCheck"},
		"Challenge":   {validationtest.Challenge(`{waitInsteadOfSelfCheck: 90d}`), "spec.solver.waitInsteadOfSelfCheck"},
	} {
		cases["days in "+name] = validationtest.Case{Object: test.object, Refusal: refused(test.path, "90d", notDuration)}
	}
	const long = "9999999999h"
	cases["long window"] = validationtest.Case{
		Object:  validationtest.Certificate(`renewal: {policy: RenewBefore, windows: [{cron: "@daily", windowDuration: 1h}, {cron: "@daily", windowDuration: ` + long + `}]}`),
		Refusal: refused("spec.renewal.windows[1].windowDuration", long, notDuration),
	}
	for _, value := range []string{"", long, " 90h", "1", "h", "1h ", "1H"} {
		cases[fmt.Sprintf("duration %q", value)] = validationtest.Case{Object: validationtest.Certificate(`duration: "` + value + `"`), Refusal: refused("spec.duration", value, notDuration)}
	}
	const odd = "2020-01-01t00:00:00z"
	for path, test := range map[string]struct{ object, status string }{
		"status.lastFailureTime":                  {validationtest.Certificate(``), `lastFailureTime: %s`},
		"status.notBefore":                        {validationtest.Certificate(``), `notBefore: %s`},
		"status.notAfter":                         {validationtest.Certificate(``), `notAfter: %s`},
		"status.renewalTime":                      {validationtest.Certificate(``), `renewalTime: %s`},
		"status.conditions[0].lastTransitionTime": {validationtest.Certificate(``), `conditions: [{type: A, status: "True", lastTransitionTime: %s}]`},
		"status.acme.ari.lastChecked":             {validationtest.Certificate(``), `acme: {ari: {lastChecked: %s}}`},
		"status.acme.ari.nextCheck":               {validationtest.Certificate(``), `acme: {ari: {nextCheck: %s}}`},
		"status.acme.ari.suggestedWindow.start":   {validationtest.Certificate(``), `acme: {ari: {suggestedWindow: {start: %s, end: "2020-01-01T00:00:00Z"}}}`},
		"status.acme.ari.suggestedWindow.end":     {validationtest.Certificate(``), `acme: {ari: {suggestedWindow: {start: "2020-01-01T00:00:00Z", end: %s}}}`},
		"status.presentedAt":                      {validationtest.Challenge(`{}`), `presented: true, processing: true, presentedAt: %s`},
		"status.failureTime":                      {validationtest.Order, `failureTime: %s`},
	} {
		cases[path] = validationtest.Case{Stored: test.object, Object: validationtest.WithStatus(test.object, fmt.Sprintf(test.status, `"`+odd+`"`)), Refusal: refused(path, odd, notTime)}
	}
	for _, value := range []string{"2020-01-01T00:00:00+99:99", "2020-01-01T00:00:00z"} {
		cases["time "+value] = validationtest.Case{
			Stored: validationtest.Order, Object: validationtest.WithStatus(validationtest.Order, `failureTime: "`+value+`"`), Refusal: refused("status.failureTime", value, notTime),
		}
	}
	return cases
}
