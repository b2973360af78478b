package admission

const immutable = "field is immutable once set"

func orders() Policy {
	return Policy{
		Name: "orders.acme.cert-manager.io",
		About: `What an Order and its status have once, they keep: the request, and what the
			ACME server said.`,
		Resources: []Resources{{acme, []string{"orders", "orders/status"}, updates}},
		Variables: []Expression{
			{"status", "object.?status.orValue({})"},
			{"old", "oldObject.?status.orValue({})"},
			{"authorizations", list("variables.status", "authorizations")},
			{"former", list("variables.old", "authorizations")},
		},
		Rules: []Rule{
			Check{
				"object.spec.request != oldObject.spec.request",
				"spec.request: Forbidden: " + immutable,
			},
			kept("url"), kept("finalizeURL"), kept("certificate"),
			Choice{
				When: "variables.former.size() > 0 && variables.authorizations.size() != variables.former.size()",
				Then: []Rule{Check{"true", "status.authorizations: Forbidden: " + immutable}},
				Else: []Rule{Group{"variables.former != variables.authorizations", []Rule{Each{"variables.former", "i", "old", authorization()}}}},
			},
		},
	}
}

// kept is the rule that a field of a status, once set, stays.
func kept(name string) Check {
	return Check{
		field("variables.old", name) + " != '' && " + field("variables.status", name) + " != " + field("variables.old", name),
		"status." + name + ": Forbidden: " + immutable,
	}
}

func authorization() []Rule {
	const at, now = "status.authorizations[{{string(i)}}]", "variables.authorizations[i]"
	set := func(name, zero string) Check {
		return Check{
			optional("old", name) + ".orValue(" + zero + ") != " + zero + " && " +
				optional(now, name) + ".orValue(" + zero + ") != " + optional("old", name) + ".orValue(" + zero + ")",
			at + "." + name + ": Forbidden: " + immutable,
		}
	}
	challenge := func(name string) Check {
		return Check{
			now + ".challenges[j]." + name + " != challenge." + name,
			at + ".challenges[{{string(j)}}]." + name + ": Forbidden: " + immutable,
		}
	}
	return []Rule{
		set("url", "''"),
		set("identifier", "''"),
		Check{
			has("old", "wildcard") + " && (!" + has(now, "wildcard") + " || " + now + ".wildcard != old.wildcard)",
			at + ".wildcard: Forbidden: " + immutable,
		},
		set("initialState", "''"),
		Choice{
			When: list("old", "challenges") + ".size() > 0 && " + list(now, "challenges") + ".size() != " + list("old", "challenges") + ".size()",
			Then: []Rule{Check{"true", at + ".challenges: Forbidden: " + immutable}},
			Else: []Rule{Each{list("old", "challenges"), "j", "challenge", []Rule{challenge("url"), challenge("type"), challenge("token")}}},
		},
	}
}

func challenges() Policy {
	return Policy{
		Name: "challenges.acme.cert-manager.io",
		About: `The spec of a Challenge names credentials, and is therefore what it was made
			as.`,
		Resources: []Resources{{acme, []string{"challenges"}, updates}},
		Rules: []Rule{Check{
			"object.spec != oldObject.spec",
			"spec: Forbidden: challenge spec is immutable after creation",
		}},
	}
}
