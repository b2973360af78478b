package admission

// decodable is the policy that every object can be read by a client written in
// Go. It is no rule of the webhook, which cannot read such an object either and
// refuses it for that.
func decodable() Policy {
	all := func(group string, names ...string) Resources {
		r := Resources{Group: group, Operations: writes}
		for _, name := range names {
			r.Names = append(r.Names, name, name+"/status")
		}
		return r
	}
	spec, status := "variables.spec", "variables.status"
	rules := []Rule{Choice{
		When: "request.?subResource.orValue('') == 'status'",
		Then: []Rule{
			moment(status, "notBefore", "status.notBefore"),
			moment(status, "notAfter", "status.notAfter"),
			moment(status, "renewalTime", "status.renewalTime"),
			moment(status, "lastFailureTime", "status.lastFailureTime"),
			moment(status, "failureTime", "status.failureTime"),
			moment(status, "presentedAt", "status.presentedAt"),
			Every{list(status, "conditions"), "i", "condition", []Rule{moment("condition", "lastTransitionTime", "status.conditions[{{string(i)}}].lastTransitionTime")}},
			Group{has(status, "acme.ari"), []Rule{
				moment(status, "acme.ari.lastChecked", "status.acme.ari.lastChecked"),
				moment(status, "acme.ari.nextCheck", "status.acme.ari.nextCheck"),
				moment(status, "acme.ari.suggestedWindow.start", "status.acme.ari.suggestedWindow.start"),
				moment(status, "acme.ari.suggestedWindow.end", "status.acme.ari.suggestedWindow.end"),
			}},
		},
		Else: []Rule{
			duration(spec, "duration", "spec.duration"),
			duration(spec, "renewBefore", "spec.renewBefore"),
			Group{has(spec, "renewal"), []Rule{
				Every{list(spec, "renewal.windows"), "i", "window", []Rule{duration("window", "windowDuration", "spec.renewal.windows[{{string(i)}}].windowDuration")}},
			}},
			Group{has(spec, "acme"), []Rule{
				Every{list(spec, "acme.solvers"), "i", "solver", []Rule{duration("solver", "waitInsteadOfSelfCheck", "spec.acme.solvers[{{string(i)}}].waitInsteadOfSelfCheck")}},
			}},
			duration(spec, "solver.waitInsteadOfSelfCheck", "spec.solver.waitInsteadOfSelfCheck"),
		},
	}}
	return Policy{
		Name: "decodable.cert-manager.io",
		About: `Durations and times are those that Go reads. One object with another would stop
			the controllers for all namespaces, because a list fails if one of its objects
			cannot be decoded. That is why this policy is for all namespaces.`,
		Resources: []Resources{
			all(certManager, "certificates", "certificaterequests", "issuers", "clusterissuers"),
			all(acme, "orders", "challenges"),
		},
		Everywhere: true,
		Excuse:     "request.operation == 'UPDATE' && object.?spec == oldObject.?spec && object.?status == oldObject.?status",
		Variables:  []Expression{{"spec", "object.?spec.orValue({})"}, {"status", "object.?status.orValue({})"}},
		Rules:      rules,
	}
}

// duration is the rule that a field is a Go duration.
func duration(root, path, at string) Check {
	value := field(root, path)
	return Check{
		has(root, path) + " && (!" + value + ".matches(" + goDuration + ") || duration(" + value + ") != duration(" + value + "))",
		at + ": Invalid value: {{" + quote(value) + "}}: " + notDuration,
	}
}

// moment is the rule that a field is a time.
func moment(root, path, at string) Check {
	value := field(root, path)
	return Check{
		has(root, path) + " && (!" + value + ".matches(" + goTime + ") || timestamp(" + value + ") != timestamp(" + value + "))",
		at + ": Invalid value: {{" + quote(value) + "}}: " + notTime,
	}
}
