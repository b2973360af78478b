package challenge

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/plan"
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

// saveDelay is how long changes are collected before they are saved.
const saveDelay = 5 * time.Second

// saveBackoff is the wait after a save that failed. The first is longer than a process
// that has lost its lease lives, so that its last save is not repeated.
var saveBackoff = plan.Backoff{Min: time.Minute, Max: time.Hour}

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
	var e entry
	if is {
		var err error
		if e, err = entryOf(l); err != nil {
			l.log(c.Log).Info("A record that is left behind is not stored; it is forgotten when the controller is restarted", "error", err.Error())
			return
		}
	}
	s := &c.leftovers
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, was := s.stored[l]; was == is {
		return
	}
	if is {
		s.stored[l] = e
	} else {
		delete(s.stored, l)
	}
	c.change()
}

// change has what is stored saved soon. The leftovers are locked.
func (c *Controller) change() {
	s := &c.leftovers
	s.changed = true
	if !s.saver {
		s.saver = true
		s.Go(c.keepSaving)
	}
}

// keepSaving saves what is to be stored, after a while in which more may change, until
// all is saved. Nothing but this saves, so that an older list never replaces a newer one.
func (c *Controller) keepSaving() {
	for delay, failed := saveDelay, 0; ; {
		<-c.Clock.After(delay)
		err := c.save()
		switch {
		case err != nil:
			failed++
			delay = saveBackoff.Delay(failed)
			c.Log.Info("The records that are left behind could not be stored; they are forgotten if the controller is restarted before the next try",
				"after", delay.String(), "error", err.Error())
		case c.allSaved():
			return
		default:
			delay, failed = saveDelay, 0
		}
	}
}

// allSaved reports whether nothing has changed since the last save. Then the saver ends.
func (c *Controller) allSaved() bool {
	s := &c.leftovers
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saver = s.changed
	return !s.changed
}

func (c *Controller) save() error {
	s := &c.leftovers
	s.mu.Lock()
	s.changed = false
	all := slices.Collect(maps.Values(s.stored))
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	return c.Left.Save(ctx, listOf(fairly(all)))
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
	var all []json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		c.Log.Info("What an earlier process has stored about records that are left behind cannot be read; they stay", "error", err.Error())
		return nil
	}
	resumed := 0
	for _, raw := range all[:min(len(all), maxStored)] {
		var s stored
		if err := json.Unmarshal(raw, &s); err != nil {
			c.Log.Info("What an earlier process has stored about a record that is left behind cannot be read; it stays", "error", err.Error())
			continue
		}
		if why := c.resume(ctx, s); why != "" {
			c.Log.Info("A record that an earlier process has left behind stays", "challenge", s.Challenge.Namespace+"/"+s.Challenge.Name,
				"dnsName", s.Challenge.DNSName, "because", why)
		} else {
			resumed++
		}
	}
	if resumed == 0 && ctx.Err() == nil {
		// Those that stay are no longer stored.
		c.leftovers.mu.Lock()
		defer c.leftovers.mu.Unlock()
		c.change()
	}
	return nil
}

// resume returns why a record stays, or "". What is stored is input: it says what is
// removed, by an issuer that could have presented it, and how is derived from the issuer.
func (c *Controller) resume(ctx context.Context, s stored) string {
	if now := c.Clock.Now(); s.Since.After(now) {
		s.Since = now
	}
	switch {
	case c.Clock.Since(s.Since) >= leftoverAge:
		return "it is too old"
	case s.Challenge.Namespace == "" || s.Challenge.DNSName == "" || s.Challenge.Key == "":
		return "it is incomplete"
	}
	by := issuerOf{s.IssuerRef, s.IssuerUID}
	issuer, err := c.Issuers.Get(ctx, s.Challenge.Namespace, s.IssuerRef)
	switch {
	case err != nil:
		return err.Error()
	case !by.still(issuer, &s.Challenge):
		return "the issuer is gone or has changed"
	}
	// What is stored does not decide which Secrets are read, and with what rights.
	s.Challenge.SecretNamespace = c.Issuers.SecretNamespace(issuer)
	s.Challenge.ClusterIssuer = s.IssuerRef.WithDefaults().Kind == cmv1.ClusterIssuerKind
	// A live Challenge with the value needs it, whatever its UID is.
	s.Challenge.UID = ""
	s.Challenge.CA, s.Challenge.CacheFloor = issuer.GetSpec().ACME.Server, settingsOf(issuer.GetAnnotations()).cacheFloor
	session, err := c.Solvers.Begin(s.Challenge)
	if err != nil {
		return err.Error()
	}
	c.sweep(&leftover{session: session, begun: s.Challenge, issuer: by, abandoned: true, since: s.Since})
	return ""
}
