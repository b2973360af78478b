package admission

import (
	"slices"

	"github.com/everleaf/everleaf/internal/pki"
)

var oldSpec = field{cel: "variables.old"}

func certificateRequests() policy {
	request := spec.in("request")
	return policy{
		Name: "certificaterequests.cert-manager.io",
		About: `What a CertificateRequest may say, that it names its requester, and what of
			it may change: neither the spec nor the annotations that say which
			Certificate, revision and key it is for. Their keys begin with
			cert-manager.io or acme.cert-manager.io, without a slash; others, such as
			venafi.cert-manager.io/pickup-id, are free.`,
		Resources: []resources{{certManager, []string{"certificaterequests"}, writes}},
		Concerns:  specChanged + " ||\n  object.metadata.?annotations.orValue({}) != oldObject.metadata.?annotations.orValue({})",
		Variables: []expression{
			specVariable,
			{"old", "oldObject.?spec.orValue({})"},
			{"after", "object.?metadata.?annotations.orValue({})"},
			{"before", "oldObject.?metadata.?annotations.orValue({})"},
		},
		Rules: []rule{choice{
			When: "request.operation == 'CREATE'",
			Then: slices.Concat(
				identity(field{cel: "request.userInfo"}, "must be that of the requester"),
				[]rule{request.invalid("!"+request.holdsPEM(""), request.text(), pki.ErrNoPEM.Error())},
				issuerRef(),
			),
			Else: slices.Concat(
				identity(oldSpec, "cannot be changed once set"),
				[]rule{
					annotation("before", "!(key in variables.after)"),
					annotation("after", "(!(key in variables.before) || variables.before[key] != value)"),
					spec.forbidden("!("+sameRequest()+")", "cannot change spec after creation"),
				},
			),
		}},
	}
}

// identity is the rules that the four fields are those of whom.
func identity(whom field, must string) []rule {
	same := func(name, cel string) rule { return spec.in(name).forbidden("!("+cel+")", name+" identity "+must) }
	text := func(name string) rule { return same(name, spec.in(name).text()+" == "+whom.in(name).text()) }
	groups, theirGroups := spec.in("groups").list(), whom.in("groups").list()
	extra, theirExtra := spec.in("extra").object(), whom.in("extra").object()
	return []rule{
		text("uid"), text("username"),
		same("groups", "("+groups+" == "+theirGroups+" || sets.equivalent("+groups+", "+theirGroups+"))"),
		same("extra", extra+" == "+theirExtra+" || ("+extra+".size() == "+theirExtra+".size() &&\n  "+
			extra+".all(key, values, key in "+theirExtra+" && sets.equivalent(values, "+theirExtra+"[key])))"),
	}
}

// annotation is the rule that annotations of cert-manager do not change.
func annotation(of, changed string) rule {
	return each{"(variables." + of + ")", "key", "value", []rule{check{
		"(key.startsWith('cert-manager.io') || key.startsWith('acme.cert-manager.io')) && " + changed,
		"metadata.annotations.{{key}}: Forbidden: cannot change cert-manager annotation after creation",
	}}}
}

// sameRequest is CEL for whether a spec asks for the same as before. Clients
// that decode and encode an object change how it is written: a duration of
// 2160h becomes 2160h0m0s, and what is empty goes. That is no change.
func sameRequest() string {
	same := func(path, zero string) string { return spec.in(path).or(zero) + " == " + oldSpec.in(path).or(zero) }
	return same("request", "''") + " &&\n  " +
		"(" + same("duration", "'0s'") + " || (" + spec.in("duration").there() + " && " + oldSpec.in("duration").there() +
		" && duration(variables.spec.duration) == duration(variables.old.duration))) &&\n  " +
		same("issuerRef.name", "''") + " && " + same("issuerRef.kind", "''") + " && " + same("issuerRef.group", "''") + " &&\n  " +
		same("isCA", "false") + " && " + same("usages", "[]") + " &&\n  " +
		same("username", "''") + " && " + same("uid", "''") + " && " + same("groups", "[]") + " && " + same("extra", "{}")
}

// decisions is CEL for the conditions that an approver sets.
func decisions(of string) string {
	return field{cel: of}.in("status.conditions").list() + ".filter(c, c.type in ['Approved', 'Denied'])"
}

func approval() policy {
	issuer := field{cel: "variables.issuer"}
	name, kind, group := issuer.in("name").text(), issuer.in("kind").text(), issuer.in("group").text()
	const signers = "authorizer.group('cert-manager.io').resource('signers')"
	return policy{
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
		Resources: []resources{{certManager, []string{"certificaterequests/status"}, updates}},
		Concerns:  decisions("object") + " !=\n  " + decisions("oldObject"),
		Variables: []expression{
			{"after", decisions("object")},
			{"before", decisions("oldObject")},
			{"issuer", "object.?spec.?issuerRef.orValue({})"},
			{"group", group + " == '' ? 'cert-manager.io' : variables.issuer.group"},
			{"kind", kind + " == '' ? 'Issuer' : variables.issuer.kind"},
			{"signers", "variables.kind.lowerAscii() + 's.' + variables.group + '/'"},
			{"signer", "variables.signers + (variables.kind.contains('Cluster') ? '' : object.metadata.namespace + '.') + " + name},
			{"undecided", "variables.after.all(c, variables.before.exists(o, o.type == c.type))"},
		},
		Permissions: []check{{
			"!(variables.undecided ||\n" +
				"  " + signers + ".name(variables.signers + '*').check('approve').allowed() ||\n" +
				"  " + signers + ".name(variables.signer).check('approve').allowed())",
			`status.conditions: Forbidden: user "{{request.userInfo.username}}" does not have permissions to set approved/denied conditions for issuer ` +
				"{{'{' + " + name + " + ' ' + " + kind + " + ' ' + " + group + " + '}'}}",
		}},
		Rules: slices.Concat([]rule{check{
			"variables.after.exists(c, c.type == 'Approved') && variables.after.exists(c, c.type == 'Denied')",
			"status.conditions: Forbidden: both 'Denied' and 'Approved' conditions cannot coexist",
		}}, decided("Approved"), decided("Denied")),
	}
}

// decided is the rules for one of the conditions. Times are compared to the
// second, as clients that decode and encode them cut the rest.
func decided(condition string) []rule {
	c, o := field{cel: "c"}, field{cel: "o"}
	same := func(name string) string { return c.in(name).text() + " == " + o.in(name).text() }
	return []rule{
		texts("variables.after.filter(c, c.type == '" + condition + "' && c.status != 'True').map(c, 'status.conditions." + condition +
			": Invalid value: ' + strings.quote(c.status) + ': \"" + condition + "\" condition may only be set to True')"),
		check{
			"variables.before.exists(o, o.type == '" + condition + "' && !variables.after.exists(c, c.type == o.type && " +
				same("status") + " && " + same("reason") + " && " + same("message") + " &&\n    (" + same("lastTransitionTime") +
				" || (has(c.lastTransitionTime) && has(o.lastTransitionTime) && int(timestamp(c.lastTransitionTime)) == int(timestamp(o.lastTransitionTime))))))",
			"status.conditions: Forbidden: '" + condition + "' condition may not be modified once set",
		},
	}
}
