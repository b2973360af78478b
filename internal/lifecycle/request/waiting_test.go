package request

import (
	"testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/facts"
)

func TestWaitingOnOrder(t *testing.T) {
	tests := []struct {
		name   string
		state  acmev1.State
		reason string
		want   string
	}{
		{"new", "", "", `Waiting on certificate issuance from order app/web-1-7: "pending"`},
		{"usual course", acmev1.Processing, "", `Waiting on certificate issuance from order app/web-1-7: "processing"`},
		{"with a reason", acmev1.Pending, "no such zone", `Waiting on certificate issuance from order app/web-1-7: "pending": no such zone`},
		{"reason with the separator", acmev1.Pending, `server "x": REFUSED`, `Waiting on certificate issuance from order app/web-1-7: "pending": server "x": REFUSED`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			message := WaitingOnOrder("app", "web-1-7", test.state, test.reason)
			if message != test.want {
				t.Errorf("message %q", message)
			}
			if !OnOrder(message) {
				t.Errorf("%q is not about an Order", message)
			}
		})
	}
}

func TestOnOrder(t *testing.T) {
	for message, want := range map[string]bool{
		orderFailed(&facts.Order{Name: "web-1-7", State: acmev1.Errored, Reason: "no"}): true,
		"Referenced issuer is not there":                                                false,
		`no such zone: Waiting on certificate issuance from order app/web-1-7: "x"`:     false,
	} {
		if OnOrder(message) != want {
			t.Errorf("%q: %t", message, !want)
		}
	}
}
