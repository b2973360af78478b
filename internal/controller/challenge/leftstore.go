package challenge

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/solver"
)

// LeftStore keeps what is known of the records that are left behind for the next process.
// It is written when a record is left behind, and when it has been removed.
type LeftStore interface {
	// Load returns what was saved last, nothing if there is none.
	Load(ctx context.Context) ([]byte, error)
	// Save replaces it; nothing removes it.
	Save(ctx context.Context, data []byte) error
}

const (
	// maxStored is how many records are stored: the newest.
	maxStored = 100
	// saveDelay is how long changes are collected before they are saved.
	saveDelay = 5 * time.Second
)

// stored is a leftover as it is stored. It has no credentials: they are read again, if
// the issuer is still the same and has the solver.
type stored struct {
	Challenge solver.Challenge       `json:"challenge"`
	IssuerRef cmmeta.IssuerReference `json:"issuerRef"`
	IssuerUID types.UID              `json:"issuerUID"`
	Since     time.Time              `json:"since"`
}

// note has a record stored, or no longer stored.
func (c *Controller) note(l *leftover, is bool) {
	c.leftovers.mu.Lock()
	defer c.leftovers.mu.Unlock()
	if c.leftovers.stored == nil {
		c.leftovers.stored = map[*leftover]stored{}
	}
	if _, was := c.leftovers.stored[l]; was == is {
		return
	}
	if is {
		c.leftovers.stored[l] = stored{l.begun, l.issuer.ref, l.issuer.uid, l.since}
	} else {
		delete(c.leftovers.stored, l)
	}
	if c.leftovers.saves {
		return
	}
	c.leftovers.saves = true
	c.leftovers.Go(func() {
		<-c.Clock.After(saveDelay)
		if err := c.save(); err != nil {
			c.Log.Info("The records that are left behind could not be stored; they are forgotten when the controller is restarted", "error", err.Error())
		}
	})
}

func (c *Controller) save() error {
	c.leftovers.mu.Lock()
	c.leftovers.saves = false
	var all []stored
	for _, s := range c.leftovers.stored {
		all = append(all, s)
	}
	c.leftovers.mu.Unlock()
	slices.SortFunc(all, func(a, b stored) int { return b.Since.Compare(a.Since) })
	var data []byte
	if len(all) > 0 {
		var err error
		if data, err = json.Marshal(all[:min(len(all), maxStored)]); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	return c.Left.Save(ctx, data)
}

// Resume has the records tried again that an earlier process has left behind, those whose
// issuer is still the same and has the solver. It never fails: a new certificate does
// not wait for an old record.
func (c *Controller) Resume(ctx context.Context) error {
	data, err := c.Left.Load(ctx)
	if err != nil || len(data) == 0 {
		if err != nil {
			c.Log.Info("The records that an earlier process has left behind could not be read; they stay", "error", err.Error())
		}
		return nil
	}
	var all []stored
	if err := json.Unmarshal(data, &all); err != nil {
		c.Log.Info("What an earlier process has stored about records that are left behind cannot be read; they stay", "error", err.Error())
		return nil
	}
	resumed := 0
	for _, s := range all[:min(len(all), maxStored)] {
		if why := c.resume(ctx, s); why != "" {
			c.Log.Info("A record that an earlier process has left behind stays", "challenge", s.Challenge.Namespace+"/"+s.Challenge.Name,
				"dnsName", s.Challenge.DNSName, "because", why)
		} else {
			resumed++
		}
	}
	if resumed > 0 {
		return nil
	}
	if err := c.Left.Save(ctx, nil); err != nil {
		c.Log.Info("What is stored about records that are left behind could not be removed", "error", err.Error())
	}
	return nil
}

// resume returns why a record stays, or "".
func (c *Controller) resume(ctx context.Context, s stored) string {
	if c.Clock.Since(s.Since) >= leftoverAge {
		return "it is too old"
	}
	issuer, err := c.Issuers.Get(ctx, s.Challenge.Namespace, s.IssuerRef)
	switch {
	case err != nil:
		return err.Error()
	case issuer == nil || issuer.GetUID() != s.IssuerUID || issuer.GetSpec().ACME == nil || !order.HasSolver(issuer.GetSpec().ACME, &s.Challenge.Solver):
		return "the issuer is gone or has changed"
	}
	// What is stored does not decide which Secrets are read.
	s.Challenge.SecretNamespace = c.Issuers.SecretNamespace(issuer)
	session, err := c.Solvers.Begin(s.Challenge)
	if err != nil {
		return err.Error()
	}
	c.sweep(&leftover{session: session, begun: s.Challenge, issuer: issuerOf{s.IssuerRef, s.IssuerUID}, abandoned: true, since: s.Since})
	return ""
}
