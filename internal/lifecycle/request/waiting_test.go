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
			if cause := CauseOfWaiting(message); cause != test.reason {
				t.Errorf("cause %q, want %q", cause, test.reason)
			}
		})
	}
	if cause := CauseOfWaiting("Referenced issuer is not there"); cause != "Referenced issuer is not there" {
		t.Errorf("another message: cause %q", cause)
	}
}

func TestCauseOfFailure(t *testing.T) {
	order := &facts.Order{Name: "web-1-7", State: acmev1.Errored, Reason: `403 state: "x"`}
	if cause := CauseOfFailure(orderFailed(order)); cause != order.Reason {
		t.Errorf("cause %q", cause)
	}
	order.Reason = ""
	if message := orderFailed(order); CauseOfFailure(message) != message {
		t.Errorf("an Order without a reason: cause %q", CauseOfFailure(message))
	}
	if cause := CauseOfFailure("no state: x"); cause != "no state: x" {
		t.Errorf("another message: cause %q", cause)
	}
}
