package challenge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/solver"
)

// TestFairly holds which records are stored if not all can be.
func TestFairly(t *testing.T) {
	for name, test := range map[string]struct {
		// sizes are the bytes of the entries of each namespace, the newest first.
		sizes map[string][]int
		// want is how many of these are stored, of each namespace.
		want map[string]int
	}{
		"nothing":            {nil, map[string]int{}},
		"all":                {map[string][]int{"a": {9, 9}, "b": {9}}, map[string]int{"a": 2, "b": 1}},
		"too many of one":    {map[string][]int{"a": slices.Repeat([]int{9}, 1000), "b": {9, 9}}, map[string]int{"a": maxStored - 2, "b": 2}},
		"too many of two":    {map[string][]int{"a": slices.Repeat([]int{9}, 1000), "b": slices.Repeat([]int{9}, 999)}, map[string]int{"a": maxStored / 2, "b": maxStored / 2}},
		"too large together": {map[string][]int{"a": slices.Repeat([]int{maxEntry}, 50), "b": slices.Repeat([]int{99}, 50)}, map[string]int{"a": 15, "b": 50}},
	} {
		t.Run(name, func(t *testing.T) {
			var all []entry
			for namespace, sizes := range test.sizes {
				for i, size := range sizes {
					all = append(all, entry{namespace, start.Add(-time.Duration(i) * time.Minute), bytes.Repeat([]byte("1"), size)})
				}
			}
			chosen := fairly(all)
			got := map[string]int{}
			for _, e := range chosen {
				if want := start.Add(-time.Duration(got[e.namespace]) * time.Minute); !e.since.Equal(want) {
					t.Errorf("%s: that of %s is missing", e.namespace, want)
				}
				got[e.namespace]++
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if data := listOf(chosen); len(data) > maxList || len(data) > 0 && !json.Valid(data) {
				t.Errorf("%d bytes: %.20s", len(data), data)
			}
		})
	}
}

// TestLargeEntryIsLeftOut holds that the config of one tenant's webhook does not keep
// the records of others from being stored.
func TestLargeEntryIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		large := solver.Challenge{Namespace: "evil"}
		large.Solver.DNS01 = &acmev1.ACMEChallengeSolverDNS01{Webhook: &acmev1.ACMEIssuerDNS01ProviderWebhook{
			Config: &apiextensionsv1.JSON{Raw: fmt.Appendf(nil, "%q", strings.Repeat("x", 200<<10))},
		}}
		for range 6 {
			s.note(&leftover{session: &recorded{}, begun: large, since: start}, true)
		}
		s.note(&leftover{begun: solver.Challenge{Namespace: "good"}, since: start}, true)
		synctest.Wait()
		s.clock.Step(saveDelay)
		s.leftovers.Wait()
		var got []stored
		if err := json.Unmarshal(s.left.data, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]stored{{Challenge: solver.Challenge{Namespace: "good"}, Since: start}}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// unwilling is a LeftStore that refuses the first saves. During each of these, and during
// Load, something else happens.
type unwilling struct {
	*leftInMemory
	refuses, tries int
	during         func()
}

func (r *unwilling) Load(ctx context.Context) ([]byte, error) {
	data, err := r.leftInMemory.Load(ctx)
	r.during()
	return data, err
}

func (r *unwilling) Save(ctx context.Context, data []byte) error {
	if r.tries++; r.tries <= r.refuses {
		r.during()
		return errors.New("no")
	}
	return r.leftInMemory.Save(ctx, data)
}

// TestSaveIsTriedAgain holds that what could not be saved is saved later, once.
func TestSaveIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		store := &unwilling{leftInMemory: s.left, refuses: 2, during: func() {
			// It is part of the next save, which comes no sooner for that.
			s.note(&leftover{begun: solver.Challenge{Namespace: "c"}, since: start}, true)
		}}
		s.Left = store
		s.note(&leftover{begun: solver.Challenge{Namespace: "a"}, since: start}, true)
		for i, delay := range []time.Duration{saveDelay, time.Minute, 2 * time.Minute} {
			synctest.Wait()
			s.clock.Step(delay - time.Second)
			synctest.Wait()
			if store.tries != i {
				t.Errorf("tried %d times before %s, want %d", store.tries, delay, i)
			}
			s.clock.Step(time.Second)
			// It waits already.
			s.note(&leftover{begun: solver.Challenge{Namespace: "b"}, since: start}, true)
		}
		s.passes(t)
		data, saves := s.left.saved()
		for _, namespace := range []string{`"a"`, `"b"`, `"c"`} {
			if !strings.Contains(string(data), namespace) {
				t.Errorf("saved %d times, without %s: %s", saves, namespace, data)
			}
		}
	})
}

// TestResumeKeepsWhatIsNew holds that a record which is left behind while what an earlier
// process has stored is read stays stored, if none of that is tried again.
func TestResumeKeepsWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.left.data = []byte("[{}]")
		s.Left = &unwilling{leftInMemory: s.left, during: func() {
			s.note(&leftover{begun: solver.Challenge{Namespace: "new"}, since: start}, true)
			synctest.Wait()
			s.clock.Step(saveDelay)
			synctest.Wait()
		}}
		if err := s.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.passes(t)
		if data, saves := s.left.saved(); !strings.Contains(string(data), `"new"`) {
			t.Errorf("saved %d times: %s", saves, data)
		}
	})
}

// TestResumeBelievesLittle holds that what is stored decides only what is removed.
func TestResumeBelievesLittle(t *testing.T) {
	good := stored{
		Challenge: solver.Challenge{
			Namespace: "ns", Name: "a", UID: "a", Type: acmev1.ACMEChallengeTypeDNS01, DNSName: "a.example", Key: "key-a",
			Solver: acmeIssuer("one").Spec.ACME.Solvers[0],
		},
		IssuerRef: cmmeta.IssuerReference{Name: "one"}, IssuerUID: acmeIssuer("one").UID, Since: start,
	}
	const removed = "clean up"
	for name, test := range map[string]struct {
		change func(*stored)
		data   string
		want   []string
	}{
		"good":               {func(*stored) {}, "", []string{removed}},
		"after damaged ones": {func(*stored) {}, `7,{"since":"x"},{},`, []string{removed}},
		"another issuer":     {func(s *stored) { s.IssuerUID = "other" }, "", nil},
		"another solver":     {func(s *stored) { s.Challenge.Solver = acmev1.ACMEChallengeSolver{} }, "", nil},
		"another solver beside an empty one for HTTP-01": {func(s *stored) {
			s.Challenge.Solver = *s.Challenge.Solver.DeepCopy()
			s.Challenge.Solver.DNS01.Nameservers = []string{"192.0.2.66"}
			s.Challenge.Solver.HTTP01 = &acmev1.ACMEChallengeSolverHTTP01{}
		}, "", nil},
		"no value":          {func(s *stored) { s.Challenge.Key = "" }, "", nil},
		"no name":           {func(s *stored) { s.Challenge.DNSName = "" }, "", nil},
		"another namespace": {func(s *stored) { s.Challenge.Namespace = "other" }, "", nil},
		"forged rights": {func(s *stored) {
			s.Challenge.ClusterIssuer, s.Challenge.SecretNamespace, s.Challenge.CA = true, "kube-system", "https://evil.example"
		}, "", []string{removed}},
		"from the future": {func(s *stored) { s.Since = start.Add(100 * 365 * 24 * time.Hour) }, "", []string{removed}},
		"that of a live Challenge": {func(s *stored) {
			s.Challenge.Name, s.Challenge.UID, s.Challenge.DNSName, s.Challenge.Key = "b", "b", "b.example", "key-b"
		}, "", nil},
	} {
		inBubble(t, name, func(t *testing.T) {
			live := challengeOf("b", "one", "o", func(c *acmev1.Challenge) { c.Status.Presented = true })
			s := newStage(t, acmeIssuer("one"), live)
			begun := &begins{recorder: s.solver}
			s.Solvers[acmev1.ACMEChallengeTypeDNS01] = begun
			one := good
			test.change(&one)
			data, err := json.Marshal(one)
			if err != nil {
				t.Fatal(err)
			}
			s.left.data = fmt.Appendf(nil, "[%s%s]", test.data, data)
			if err := s.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.passes(t)
			got := slices.DeleteFunc(s.solver.log, func(line string) bool { return line != removed })
			if diff := cmp.Diff(test.want, got); diff != "" && len(test.want)+len(got) > 0 {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, c := range begun.with {
				if c.ClusterIssuer || c.SecretNamespace != "ns" || c.CA != acmeIssuer("one").Spec.ACME.Server {
					t.Errorf("begun with %+v", c)
				}
			}
			if took := s.clock.Now().Sub(start); took > time.Hour {
				t.Errorf("took %s", took)
			}
		})
	}
}

// begins is a Solver that records what its Sessions are begun with.
type begins struct {
	*recorder
	with []solver.Challenge
}

func (b *begins) Begin(c solver.Challenge) solver.Session {
	b.with = append(b.with, c)
	return b.recorder.Begin(c)
}
