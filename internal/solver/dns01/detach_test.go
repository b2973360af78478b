package dns01_test

import (
	"context"
	"testing"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver"
)

// TestDetach holds that a Session whose issuer is gone removes its record with the
// credentials that it has, and reads no others: they may be somebody else's.
func TestDetach(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	s := w.begin(nil)
	if err := s.Present(ctx); err != nil {
		t.Fatal(err)
	}
	w.token = "down"
	if err := s.CleanUp(ctx); err == nil {
		t.Fatal("removed")
	}
	w.token, w.secrets["team/token"] = "good", map[string][]byte{"key": []byte("another tenant's")}
	w.called()
	s.(solver.Detacher).Detach()
	w.want("clean up", s.CleanUp(ctx), "clean up "+challenge+" as good")

	s = w.begin(nil)
	s.(solver.Detacher).Detach()
	if err := s.CleanUp(ctx); fault.Of(err).Class != fault.Permanent || len(w.called()) > 0 {
		t.Errorf("without credentials: %v", err)
	}
}
