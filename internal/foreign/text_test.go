package foreign

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		// Texts of Boulder, Pebble and others.
		`too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after 2026-03-02 04:05:06 UTC: see https://letsencrypt.org/docs/rate-limits/#new-certificates-per-exact-set-of-identifiers`: `too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after <time>: see https://letsencrypt.org/docs/rate-limits/#new-certificates-per-exact-set-of-identifiers`,
		`JWS has an invalid anti-replay nonce: vXv1Yk1nT0aBcDeFgHiJ2w`:                                                           `JWS has an invalid anti-replay nonce: <id>`,
		`No order "cXkgQCcLjAubzumevj_tlEodW1ArJpRCGrpUZ" found for account ID "3f8a61c20b9d4e7f"`:                               `No order "<id>" found for account ID "<id>"`,
		`Order "x" expired 2026-03-02 04:05:06.789 +0000 UTC m=+12.5`:                                                            `Order "x" expired <time>`,
		`order expired 2026-03-02T04:05:06Z`:                                                                                     `order expired <time>`,
		`Error 1b4e28ba-2fa1-11d2-883f-0016d3cca427 occurred`:                                                                    `Error <id> occurred`,
		`Incorrect TXT record "gfj9Xq_Rg85nMDHLd3Gk2lNxYz0aBcDeFgHiJkLmNo1" found at _acme-challenge.example.com`:                `Incorrect TXT record "gfj9Xq_Rg85nMDHLd3Gk2lNxYz0aBcDeFgHiJkLmNo1" found at _acme-challenge.example.com`,
		`CAA record for k8s-PROD-a1b2c3d4e5f6.example.com prevents issuance.`:                                                    `CAA record for k8s-PROD-a1b2c3d4e5f6.example.com prevents issuance.`,
		`no such host a1b2c3d4e5f60718.example`:                                                                                  `no such host a1b2c3d4e5f60718.example`,
		`During secondary validation: DNS problem: NXDOMAIN looking up TXT for _acme-challenge.internationalization.de`:          `During secondary validation: DNS problem: NXDOMAIN looking up TXT for _acme-challenge.internationalization.de`,
		`192.0.2.1: Fetching http://example.com/.well-known/acme-challenge/LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0: Timeout`: `192.0.2.1: Fetching http://example.com/.well-known/acme-challenge/LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0: Timeout`,
		"\xff\xfe broken \xc3": `broken`,
		"":                     "",
	} {
		if diff := cmp.Diff(want, Text(in, 512)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}
