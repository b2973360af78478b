package vault

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/hashicorp/vault/api"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
)

const (
	pathHealth = "sys/health"
	unseal     = `unseal it ("vault operator unseal")`
)

// The statuses with which the nodes of a cluster answer that are not the active one, and
// pass requests on to it.
const (
	statusDisasterRecovery   = 472
	statusPerformanceStandby = 473
)

// verify asks whether Vault can serve, without a namespace: Vault refuses the path in all but
// the root one.
func (c *connection) verify(ctx context.Context, now time.Time) error {
	began := c.clock.Now()
	answer, err := c.bare.Logical().ReadRawWithContext(ctx, pathHealth)
	if answer != nil {
		defer func() { _ = answer.Body.Close() }()
	}
	f := unhealthy(c.bare, answer, err)
	status := 0
	if answer != nil {
		status = answer.StatusCode
	}
	c.count(callHealth, status, began)
	if f == nil {
		return nil
	}
	text := "error calling Vault /v1/" + pathHealth + ": " + f.text()
	switch {
	case f.foreign:
	case f.status == http.StatusNotImplemented:
		text = `Vault is not initialized; initialize it ("vault operator init")`
	case f.status == http.StatusServiceUnavailable:
		text = "Vault is sealed; " + unseal
	case f.status == 0:
		text = f.text()
	}
	return f.fault(fault.Transient, cmv1.IssuerReasonVaultError, "Failed to verify Vault is initialized and unsealed: "+text, now)
}

// unhealthy returns why an answer of sys/health is none of a Vault that can serve, nil if
// it is.
func unhealthy(client *api.Client, answer *api.Response, err error) *failure {
	if answer == nil {
		return newFailure(client, pathHealth, answer, err, nil)
	}
	f := failureAt(client, pathHealth)
	f.status, f.header = answer.StatusCode, answer.Header
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return newFailure(client, pathHealth, nil, err, nil)
	}
	var health struct {
		Initialized *bool    `json:"initialized"`
		Errors      []string `json:"errors"`
	}
	f.foreign = len(body) > 0 && (json.Unmarshal(body, &health) != nil || health.Initialized == nil && health.Errors == nil)
	f.said = sentences(health.Errors, nil)
	switch answer.StatusCode {
	case http.StatusOK, http.StatusTooManyRequests, statusDisasterRecovery, statusPerformanceStandby:
		if !f.foreign {
			return nil
		}
	}
	return f
}
