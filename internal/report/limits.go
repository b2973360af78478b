package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// Let's Encrypt's rate limits as it publishes them, for its production CA. Other CAs have
// others: what they are is not in the API.
const (
	// PerDomain are the certificates for a registered domain in a week.
	PerDomain = 50
	// PerSet are the certificates for the same set of names in a week.
	PerSet = 5
	// PerAccount are the new orders of an account in three hours.
	PerAccount = 300

	accountTime = 3 * time.Hour
)

// Authority is an ACME CA, and how near its limits the Orders are that are still in the
// cluster.
type Authority struct {
	Server string `json:"server"`
	// LetsEncrypt reports that the limits are those of this CA.
	LetsEncrypt bool `json:"letsEncrypt"`
	// Accounts are the issuers, with their orders of the last three hours.
	Accounts []Usage `json:"accounts"`
	// Domains are registered domains, with the orders of the last week.
	Domains []Usage `json:"domains"`
	// Sets are equal sets of names for which there was more than one order in the last week.
	Sets []Usage `json:"sets,omitempty"`
}

// Usage is how much of a limit is used.
type Usage struct {
	Name  string `json:"name"`
	N     int    `json:"n"`
	Limit int    `json:"limit"`
}

// Share is the part of the limit that is used, in percent.
func (u Usage) Share() int { return u.N * 100 / u.Limit }

// authoritiesOf groups Orders by the server of their issuer. An Order that has failed
// counts only as an order; without an issuer it counts for nobody.
func authoritiesOf(in Input, now time.Time) []Authority {
	servers := serversOf(in)
	type usage struct{ accounts, domains, sets map[string]int }
	all := map[string]usage{}
	for _, server := range servers {
		all[server] = usage{map[string]int{}, map[string]int{}, map[string]int{}}
	}
	for i := range in.Orders {
		order := &in.Orders[i]
		issuer := issuerName(order.Namespace, order.Spec.IssuerRef)
		at, known := all[servers[issuer]]
		age := now.Sub(order.CreationTimestamp.Time)
		if !known || age > week {
			continue
		}
		if age <= accountTime {
			at.accounts[issuer]++
		}
		if order.Status.State.Failed() {
			continue
		}
		for domain := range domainsOf(order) {
			at.domains[domain]++
		}
		at.sets[setOf(order)]++
	}
	found := []Authority{}
	for _, server := range slices.Sorted(maps.Keys(all)) {
		u := all[server]
		maps.DeleteFunc(u.sets, func(_ string, n int) bool { return n < 2 })
		found = append(found, Authority{
			Server: server, LetsEncrypt: strings.HasPrefix(server, "https://acme-v02.api.letsencrypt.org/"),
			Accounts: usages(u.accounts, PerAccount), Domains: usages(u.domains, PerDomain), Sets: usages(u.sets, PerSet),
		})
	}
	return found
}

// serversOf are the ACME servers of issuers.
func serversOf(in Input) map[string]string {
	servers := map[string]string{}
	add := func(kind string, issuer cmv1.GenericIssuer) {
		if acme := issuer.GetSpec().ACME; acme != nil {
			servers[issuerName(issuer.GetNamespace(), cmmeta.IssuerReference{Kind: kind, Name: issuer.GetName()})] = acme.Server
		}
	}
	for i := range in.Issuers {
		add(cmv1.IssuerKind, &in.Issuers[i])
	}
	for i := range in.ClusterIssuers {
		add(cmv1.ClusterIssuerKind, &in.ClusterIssuers[i])
	}
	return servers
}

// domainsOf are the registered domains of an Order: what is one label below a public
// suffix.
func domainsOf(order *acmev1.Order) map[string]bool {
	domains := map[string]bool{}
	for _, name := range order.Spec.DNSNames {
		name = strings.TrimPrefix(strings.ToLower(strings.TrimSuffix(name, ".")), "*.")
		domain, err := publicsuffix.EffectiveTLDPlusOne(name)
		if err != nil {
			domain = name
		}
		domains[domain] = true
	}
	return domains
}

// setOf names a set of names.
func setOf(order *acmev1.Order) string {
	names := slices.Concat(order.Spec.DNSNames, order.Spec.IPAddresses)
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// usages sorts what is used, the most first.
func usages(by map[string]int, limit int) []Usage {
	sorted := []Usage{}
	for name, n := range by {
		sorted = append(sorted, Usage{name, n, limit})
	}
	slices.SortFunc(sorted, func(a, b Usage) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name)) })
	return sorted
}
