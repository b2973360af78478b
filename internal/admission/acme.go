package admission

const immutable = "field is immutable once set"

func orders() policy {
	old := field{cel: "variables.old"}
	return policy{
		Name: "orders.acme.cert-manager.io",
		About: `What an Order and its status have once, they keep: the request, and what the
			ACME server said.`,
		Resources: []resources{{acme, []string{"orders", "orders/status"}, updates}},
		Variables: []expression{
			statusVariable,
			{"old", "oldObject.?status.orValue({})"},
			{"authorizations", status.in("authorizations").list()},
			{"former", old.in("authorizations").list()},
		},
		Rules: []rule{
			spec.in("request").forbidden("object.spec.request != oldObject.spec.request", immutable),
			kept(old, status, "url"), kept(old, status, "finalizeURL"), kept(old, status, "certificate"),
			choice{
				When: "variables.former.size() > 0 && variables.authorizations.size() != variables.former.size()",
				Then: []rule{status.in("authorizations").forbidden("true", immutable)},
				Else: []rule{when("variables.former != variables.authorizations", each{
					first(maxEntries, "(variables.former)"), "i", "old",
					authorization(field{"variables.authorizations[i]", status.in("authorizations").entry("i", "").path}),
				})},
			},
		},
	}
}

// kept is the rule that a text, once set, stays.
func kept(old, now field, name string) rule {
	before, after := old.in(name), now.in(name)
	return after.forbidden(before.set()+" && "+after.text()+" != "+before.text(), immutable)
}

// authorization is the rules for an authorization, which was once old.
func authorization(now field) []rule {
	old := field{cel: "old"}
	wildcard, challenges := now.in("wildcard"), old.in("challenges").as(now.path+".challenges")
	challenge, size := challenges.entry("j", "challenge"), challenges.list()+".size()"
	same := func(name string) rule {
		return challenge.in(name).forbidden(now.cel+".challenges[j]."+name+" != challenge."+name, immutable)
	}
	return []rule{
		kept(old, now, "url"),
		kept(old, now, "identifier"),
		wildcard.forbidden(old.in("wildcard").there()+" && (!"+wildcard.there()+" || "+now.cel+".wildcard != old.wildcard)", immutable),
		kept(old, now, "initialState"),
		choice{
			When: size + " > 0 && " + now.in("challenges").list() + ".size() != " + size,
			Then: []rule{challenges.forbidden("true", immutable)},
			Else: []rule{challenge.each(same("url"), same("type"), same("token"))},
		},
	}
}

func challenges() policy {
	return policy{
		Name: "challenges.acme.cert-manager.io",
		About: `The spec of a Challenge names credentials, and is therefore what it was made
			as.`,
		Resources: []resources{{acme, []string{"challenges"}, updates}},
		Rules:     []rule{spec.forbidden("object.spec != oldObject.spec", "challenge spec is immutable after creation")},
	}
}
