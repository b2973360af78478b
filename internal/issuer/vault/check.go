package vault

import (
	"context"
	"net/http"
	"slices"

	"github.com/everleaf/everleaf/internal/fault"
)

const pathCapabilities = "sys/capabilities-self"

// permitted asks Vault whether the token of a session may sign. Every token may ask that
// with the policy that Vault calls default; the answer to one that may not says nothing.
// A token with a number of uses is not used up for it.
func (c *connection) permitted(ctx context.Context, s *session) error {
	if s.limited {
		return nil
	}
	path := signPath(c.spec.Path)
	allowed, f := c.capabilities(ctx, s, path)
	if f != nil && f.invalidToken() {
		if c.static {
			return c.invalid(f)
		}
		var err error
		if s, err = c.look(ctx, s); err != nil {
			return err
		}
		allowed, f = c.capabilities(ctx, s, path)
	}
	if f != nil && (f.status == 0 || f.status >= http.StatusInternalServerError) {
		// Vault answers so to what is no token, such as one in quotes.
		return f.fault(fault.Transient, "", f.text(), c.clock.Now())
	}
	if f != nil || len(allowed) == 0 || slices.Contains(allowed, "update") || slices.Contains(allowed, "root") {
		return nil
	}
	return fault.New(fault.Transient, "", "%s does not allow the token to sign at path %q%s: %s", host(c.spec.Server), path, inNamespace(c.spec.Namespace), permission(path))
}

// capabilities are what the token of a session may do at a path.
func (c *connection) capabilities(ctx context.Context, s *session, path string) ([]string, *failure) {
	var answer struct {
		Data struct {
			Capabilities []string `json:"capabilities"`
		} `json:"data"`
	}
	f := c.write(ctx, callCapabilities, s.client, pathCapabilities, map[string][]string{"paths": {path}}, &answer, s.token)
	return answer.Data.Capabilities, f
}
