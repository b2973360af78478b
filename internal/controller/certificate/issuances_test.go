package certificate

import (
	"slices"
	"testing"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
)

// TestIssuancesOutlastTheRequest deletes the request that says which issuances nobody
// has asked for: the process remembers them for an hour.
func TestIssuancesOutlastTheRequest(t *testing.T) {
	object := crt(func(c *cmv1.Certificate) { c.Status.Revision, c.Generation = new(int), 1 })
	*object.Status.Revision = 1
	row := facts.Row{Generation: 1, At: []time.Time{now.Add(-30 * time.Minute), now.Add(-10 * time.Minute)}}
	request := lifecycletest.NewRequest(object, key(1), 1, func(r *cmv1.CertificateRequest) {
		r.Annotations[facts.IssuancesAnnotation] = row.String()
	})
	s := newFakes(t, nil).start(t, config)
	remembers := func(want ...time.Time) {
		t.Helper()
		w := s.load(t, object)
		if got := w.State.Known(w.Current(), s.clock.Now()).At; !slices.Equal(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
		if err := w.Do(t.Context(), core.Forget{}); err != nil {
			t.Error(err)
		}
	}
	s.cache(t, request)
	remembers(row.At...)
	for _, item := range s.requests.GetIndexer().List() {
		if err := s.requests.GetIndexer().Delete(item); err != nil {
			t.Fatal(err)
		}
	}
	remembers(row.At...)
	s.clock.Step(30 * time.Minute)
	remembers(row.At[1])
	s.clock.Step(30 * time.Minute)
	remembers()
	if n := s.issuances.Len(); n != 0 {
		t.Errorf("%d Certificates are remembered", n)
	}
}
