package http01

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

// cafe is the spec of an Ingress with two paths, and a rule of another host.
const cafe = `
ingressClassName: nginx
tls: [{hosts: [app.example.test], secretName: cafe-secret}]
rules:
- host: other.example.test
- host: app.example.test
  http:
    paths:
    - {path: /tea, pathType: Prefix, backend: {service: {name: tea-svc, port: {number: 80}}}}
    - {path: /coffee, pathType: Prefix, backend: {service: {name: coffee-svc, port: {number: 80}}}}
`

const cafeWithPath = `
ingressClassName: nginx
tls: [{hosts: [app.example.test], secretName: cafe-secret}]
rules:
- host: other.example.test
- host: app.example.test
  http:
    paths:
    - {path: /.well-known/acme-challenge/t0ken, pathType: Exact, backend: {service: {name: cm-acme-http-solver-eptogoii5s, port: {number: 8089}}}}
    - {path: /tea, pathType: Prefix, backend: {service: {name: tea-svc, port: {number: 80}}}}
    - {path: /coffee, pathType: Prefix, backend: {service: {name: coffee-svc, port: {number: 80}}}}
`

func TestEditInPlace(t *testing.T) {
	const ownPath = `{path: /.well-known/acme-challenge/t0ken, pathType: Exact, backend: {service: {name: cm-acme-http-solver-eptogoii5s, port: {number: 8089}}}}`
	const otherPath = `{path: /.well-known/acme-challenge/t0ken, pathType: Exact, backend: {service: {name: cm-acme-http-solver-x7z9w, port: {number: 8089}}}}`
	const personsPath = `{path: /.well-known/acme-challenge/t0ken, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}`
	// The API server refuses an Ingress without a rule and without a default backend.
	const bare = `rules: [{host: app.example.test}]`
	app := func(paths string) string { return `rules: [{host: app.example.test, http: {paths: [` + paths + `]}}]` }
	for _, test := range []struct {
		name, before string
		// added is the spec with the path, removed the one after it was removed again.
		// Empty means that nothing changes.
		added, removed string
	}{
		{"the rule of the host", cafe, cafeWithPath, cafe},
		{"no rule of the host", `rules: [{host: other.example.test}]`, `rules: [{host: other.example.test}, {host: app.example.test, http: {paths: [` + ownPath + `]}}]`, `rules: [{host: other.example.test}]`},
		{"no rule at all", `defaultBackend: {service: {name: web, port: {number: 80}}}`, `{defaultBackend: {service: {name: web, port: {number: 80}}}, ` + app(ownPath) + `}`, `defaultBackend: {service: {name: web, port: {number: 80}}}`},
		{"a rule without http", `rules: [{host: app.example.test}]`, app(ownPath), bare},
		{"there already", app(ownPath), "", bare},
		{"another solver's Service", app(otherPath), app(ownPath), bare},
		{"a person's Service", app(personsPath), app(ownPath), bare},
		{
			"two rules of the host", `rules: [{host: app.example.test, http: {paths: []}}, {host: app.example.test, http: {paths: [` + ownPath + `]}}]`,
			`rules: [{host: app.example.test, http: {paths: [` + ownPath + `]}}, {host: app.example.test, http: {paths: [` + ownPath + `]}}]`, bare,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := lab("app.example.test", byIngress(acmev1.ACMEChallengeSolverHTTP01Ingress{Name: "cafe"}))
			i := &networkingv1.Ingress{}
			if err := yaml.UnmarshalStrict([]byte(test.before), &i.Spec); err != nil {
				t.Fatal(err)
			}
			changed := addPath(i, c, networkingv1.PathTypeExact)
			if changed != (test.added != "") {
				t.Errorf("adding the path changes the Ingress: %v", changed)
			}
			if test.added != "" {
				shows(t, i.Spec, test.added)
			}
			if addPath(i, c, networkingv1.PathTypeExact) {
				t.Error("adding the path twice changes the Ingress twice")
			}
			if !removePath(i, c) {
				t.Error("removing the path changes nothing")
			}
			shows(t, i.Spec, test.removed)
			if removePath(i, c) {
				t.Error("removing the path twice changes the Ingress twice")
			}
		})
	}
	t.Run("what leads elsewhere stays", func(t *testing.T) {
		i := &networkingv1.Ingress{}
		if err := yaml.UnmarshalStrict([]byte(app(personsPath)), &i.Spec); err != nil {
			t.Fatal(err)
		}
		if removePath(i, lab("app.example.test", byIngress(acmev1.ACMEChallengeSolverHTTP01Ingress{Name: "cafe"}))) {
			t.Error("a person's path was removed")
		}
	})
}
