package admission

// decodable is the policy that every object can be read by a client written in
// Go. It is no rule of the webhook, which cannot read such an object either and
// refuses it for that.
func decodable() policy {
	condition, ari := status.in("conditions").entry("i", "condition"), status.in("acme.ari")
	window, solver := spec.in("renewal.windows").entry("i", "window"), spec.in("acme.solvers").entry("i", "solver")
	return policy{
		Name: "decodable.cert-manager.io",
		About: `Durations and times are those that Go reads. One object with another would stop
			the controllers for all namespaces, because a list fails if one of its objects
			cannot be decoded. That is why this policy is for all namespaces.`,
		Resources: []resources{
			{certManager, []string{
				"certificates", "certificates/status", "certificaterequests", "certificaterequests/status",
				"issuers", "issuers/status", "clusterissuers", "clusterissuers/status",
			}, writes},
			{acme, []string{"orders", "orders/status", "challenges", "challenges/status"}, writes},
		},
		Everywhere: true,
		Excuse:     "request.operation == 'UPDATE' && object.?spec == oldObject.?spec && object.?status == oldObject.?status",
		Variables:  []expression{specVariable, statusVariable},
		Rules: []rule{choice{
			When: "request.?subResource.orValue('') == 'status'",
			Then: append(
				moments(status, "notBefore", "notAfter", "renewalTime", "lastFailureTime", "failureTime", "presentedAt"),
				condition.every(moments(condition.field, "lastTransitionTime")...),
				when(ari.there(), moments(ari, "lastChecked", "nextCheck", "suggestedWindow.start", "suggestedWindow.end")...),
			),
			Else: append(
				durations(spec, "duration", "renewBefore"),
				when(spec.in("renewal").there(), window.every(durations(window.field, "windowDuration")...)),
				when(spec.in("acme").there(), solver.every(durations(solver.field, wait)...)),
				durations(spec, "solver."+wait)[0],
			),
		}},
	}
}

// durations is the rules that fields are Go durations.
func durations(of field, names ...string) []rule {
	return readable(of, names, goDuration, "duration", "must be a duration in h, m and s, such as 2160h")
}

// moments is the rules that fields are times.
func moments(of field, names ...string) []rule {
	return readable(of, names, goTime, "timestamp", "must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z")
}

// readable is the rules that fields match a pattern, and that CEL can convert
// them.
func readable(of field, names []string, pattern, convert, detail string) []rule {
	var rules []rule
	for _, name := range names {
		f := of.in(name)
		value := convert + "(" + f.text() + ")"
		rules = append(rules, f.invalid(f.there()+" && (!"+f.text()+".matches("+pattern+") || "+value+" != "+value+")", f.text(), detail))
	}
	return rules
}
