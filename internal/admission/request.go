package admission

import "github.com/everleaf/everleaf/internal/pki"

func certificateRequests() Policy {
	s := "variables.spec"
	return Policy{
		Name: "certificaterequests.cert-manager.io",
		About: `What a CertificateRequest may say, that it names its requester, and what of
			it may change: neither the spec nor the annotations that say which
			Certificate, revision and key it is for. Their keys begin with
			cert-manager.io or acme.cert-manager.io, without a slash; others, such as
			venafi.cert-manager.io/pickup-id, are free.`,
		Resources: []Resources{{certManager, []string{"certificaterequests"}, writes}},
		Concerns:  specChanged + " ||\n  object.metadata.?annotations.orValue({}) != oldObject.metadata.?annotations.orValue({})",
		Variables: []Expression{
			spec(),
			{"old", "oldObject.?spec.orValue({})"},
			{"after", "object.?metadata.?annotations.orValue({})"},
			{"before", "oldObject.?metadata.?annotations.orValue({})"},
		},
		Rules: []Rule{Choice{
			When: "request.operation == 'CREATE'",
			Then: concat(
				identity("request.userInfo", "must be that of the requester"),
				[]Rule{Check{
					"!" + holdsPEM(field(s, "request"), ""),
					"spec.request: Invalid value: {{" + quote(field(s, "request")) + "}}: " + pki.ErrNoPEM.Error(),
				}},
				issuerRef(),
			),
			Else: concat(
				identity("variables.old", "cannot be changed once set"),
				[]Rule{
					annotation("before", "!(key in variables.after)"),
					annotation("after", "(!(key in variables.before) || variables.before[key] != value)"),
					Check{"!(" + sameRequest + ")", "spec: Forbidden: cannot change spec after creation"},
				},
			),
		}},
	}
}

// identity is the rules that the four fields are those of whom, which is CEL.
func identity(whom, must string) []Rule {
	check := func(name, same string) Check {
		return Check{"!(" + same + ")", "spec." + name + ": Forbidden: " + name + " identity " + must}
	}
	mine, theirs := object("variables.spec", "extra"), object(whom, "extra")
	sets := func(a, b string) string { return "(" + a + " == " + b + " || sets.equivalent(" + a + ", " + b + "))" }
	return []Rule{
		check("uid", field("variables.spec", "uid")+" == "+field(whom, "uid")),
		check("username", field("variables.spec", "username")+" == "+field(whom, "username")),
		check("groups", sets(list("variables.spec", "groups"), list(whom, "groups"))),
		check("extra", mine+" == "+theirs+" || ("+mine+".size() == "+theirs+".size() &&\n  "+
			mine+".all(key, values, key in "+theirs+" && sets.equivalent(values, "+theirs+"[key])))"),
	}
}

// annotation is the rule that annotations of cert-manager do not change.
func annotation(of, changed string) Rule {
	return Entries{"variables." + of, "key", "value", []Rule{Check{
		"(key.startsWith('cert-manager.io') || key.startsWith('acme.cert-manager.io')) && " + changed,
		"metadata.annotations.{{key}}: Forbidden: cannot change cert-manager annotation after creation",
	}}}
}

// sameRequest is CEL for whether a spec asks for the same as before. Clients
// that decode and encode an object change how it is written: a duration of
// 2160h becomes 2160h0m0s, and what is empty goes. That is no change.
var sameRequest = func() string {
	same := func(path, zero string) string {
		return optional("variables.spec", path) + ".orValue(" + zero + ") == " + optional("variables.old", path) + ".orValue(" + zero + ")"
	}
	return same("request", "''") + " &&\n  " +
		"(" + same("duration", "'0s'") + " || (" + has("variables.spec", "duration") + " && " + has("variables.old", "duration") +
		" && duration(variables.spec.duration) == duration(variables.old.duration))) &&\n  " +
		same("issuerRef.name", "''") + " && " + same("issuerRef.kind", "''") + " && " + same("issuerRef.group", "''") + " &&\n  " +
		same("isCA", "false") + " && " + same("usages", "[]") + " &&\n  " +
		same("username", "''") + " && " + same("uid", "''") + " && " + same("groups", "[]") + " && " + same("extra", "{}")
}()

// decisions is CEL for the conditions that an approver sets.
func decisions(of string) string {
	return list(of, "status.conditions") + ".filter(c, c.type in ['Approved', 'Denied'])"
}

func approval() Policy {
	const signers = "authorizer.group('cert-manager.io').resource('signers')"
	return Policy{
		Name: "certificaterequests-approval.cert-manager.io",
		About: `Whoever sets the condition Approved or Denied needs the verb "approve" on the
			resource "signers" of the group cert-manager.io, with the name
			  <resource>.<group>/*                   any issuer of that kind, or
			  <resource>.<group>/<namespace>.<name>  this issuer, or
			  <resource>.<group>/<name>              this issuer, if it is cluster-scoped.
			Once set, a condition stays as it is.

			CEL cannot look up resources. Of foreign kinds, <resource> is therefore the
			kind in lower case with an "s", and a kind with "Cluster" in its name counts as
			cluster-scoped.`,
		Resources: []Resources{{certManager, []string{"certificaterequests/status"}, updates}},
		Concerns:  decisions("object") + " !=\n  " + decisions("oldObject"),
		Variables: []Expression{
			{"after", decisions("object")},
			{"before", decisions("oldObject")},
			{"issuer", "object.?spec.?issuerRef.orValue({})"},
			{"group", field("variables.issuer", "group") + " == '' ? 'cert-manager.io' : variables.issuer.group"},
			{"kind", field("variables.issuer", "kind") + " == '' ? 'Issuer' : variables.issuer.kind"},
			{"signers", "variables.kind.lowerAscii() + 's.' + variables.group + '/'"},
			{"signer", "variables.signers + (variables.kind.contains('Cluster') ? '' : object.metadata.namespace + '.') + " + field("variables.issuer", "name")},
			{"undecided", "variables.after.all(c, variables.before.exists(o, o.type == c.type))"},
		},
		Permissions: []Check{{
			"!(variables.undecided ||\n" +
				"  " + signers + ".name(variables.signers + '*').check('approve').allowed() ||\n" +
				"  " + signers + ".name(variables.signer).check('approve').allowed())",
			`spec.conditions: Forbidden: user "{{request.userInfo.username}}" does not have permissions to set approved/denied conditions for issuer ` +
				"{{'{' + " + field("variables.issuer", "name") + " + ' ' + " + field("variables.issuer", "kind") + " + ' ' + " + field("variables.issuer", "group") + " + '}'}}",
		}},
		Rules: concat([]Rule{Check{
			"variables.after.exists(c, c.type == 'Approved') && variables.after.exists(c, c.type == 'Denied')",
			"status.conditions: Forbidden: both 'Denied' and 'Approved' conditions cannot coexist",
		}}, decided("Approved"), decided("Denied")),
	}
}

// decided is the rules for one of the conditions. Times are compared to the
// second, as clients that decode and encode them cut the rest.
func decided(condition string) []Rule {
	same := func(name string) string { return field("c", name) + " == " + field("o", name) }
	return []Rule{
		List("variables.after.filter(c, c.type == '" + condition + "' && c.status != 'True').map(c, 'status.conditions." + condition +
			": Invalid value: ' + strings.quote(c.status) + ': \"" + condition + "\" condition may only be set to True')"),
		Check{
			"variables.before.exists(o, o.type == '" + condition + "' && !variables.after.exists(c, c.type == o.type && " +
				same("status") + " && " + same("reason") + " && " + same("message") + " &&\n    (" + same("lastTransitionTime") +
				" || (has(c.lastTransitionTime) && has(o.lastTransitionTime) && int(timestamp(c.lastTransitionTime)) == int(timestamp(o.lastTransitionTime))))))",
			"status.conditions: Forbidden: '" + condition + "' condition may not be modified once set",
		},
	}
}
