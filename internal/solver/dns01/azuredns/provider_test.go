package azuredns

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/azuredns/azurednstest"
)

var kinds = map[string]string{publicZone: "dnsZones", privateZone: "privateDnsZones"}

// each runs a test with public and with private zones.
func each(t *testing.T, test func(t *testing.T, s *server, kind string, p *Provider)) {
	for zoneType, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			s := newServer(t, publicCloud)
			c := s.principal()
			c.ZoneType = zoneType
			test(t, s, kind, provider(t, c))
		})
	}
}

// key is that of the record set of fqdn.
func key(kind string) string { return strings.ToLower(kind) + "/example.com/_acme-challenge.www" }

// TestKept tests that nothing of a record set is changed but one value.
func TestKept(t *testing.T) {
	each(t, func(t *testing.T, s *server, kind string, p *Provider) {
		stored := func() azurednstest.Set {
			return azurednstest.Set{
				ETag: "e1", TTL: 3600, Metadata: map[string]string{"owner": "Zoë", "empty": ""},
				Values: [][]string{{"v=spf1 ", "-all"}, {second}, {strings.Repeat("x", 255), "y"}},
			}
		}
		set, other := stored(), azurednstest.Set{ETag: "e2", TTL: 60, Values: [][]string{{"kept"}}}
		s.Sets[key(kind)], s.Sets[strings.ToLower(kind)+"/example.com/_acme-challenge"] = &set, &other

		compare := func(values ...[]string) {
			t.Helper()
			got, want := s.At(kind, fqdn), stored()
			want.Values = append(want.Values, values...)
			if diff := cmp.Diff(&want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".ETag" }, cmp.Ignore())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		if err := p.Present(t.Context(), record(first)); err != nil {
			t.Fatal(err)
		}
		compare([]string{first})
		if err := p.Present(t.Context(), record(second)); err != nil {
			t.Fatal(err)
		}
		compare([]string{first})
		if err := p.CleanUp(t.Context(), record(first)); err != nil {
			t.Fatal(err)
		}
		compare()
		if diff := cmp.Diff([]string{"kept"}, s.values(kind, "_acme-challenge.example.com.")); diff != "" {
			t.Errorf("another name (-want +got):\n%s", diff)
		}
	})
}

func TestNewSet(t *testing.T) {
	each(t, func(t *testing.T, s *server, kind string, p *Provider) {
		if err := p.Present(t.Context(), record(first)); err != nil {
			t.Fatal(err)
		}
		if set := s.At(kind, fqdn); set.TTL != 1 || set.Metadata != nil {
			t.Errorf("TTL %d, metadata %v", set.TTL, set.Metadata)
		}
	})
}

// TestRaces tests that what others write between a read and a write is kept.
func TestRaces(t *testing.T) {
	each(t, func(t *testing.T, s *server, kind string, p *Provider) {
		// Another writer makes the set, or adds a value to it, once.
		meanwhile := func(values ...string) {
			s.Do(func() {
				s.Before = func(string) {
					set := &azurednstest.Set{ETag: "meanwhile" + strings.Join(values, ""), TTL: 5}
					for _, v := range values {
						set.Values = append(set.Values, []string{v})
					}
					if s.Sets[key(kind)] = set; len(values) == 0 {
						delete(s.Sets, key(kind))
					}
				}
			})
		}
		present := func(value string) { t.Helper(); ok(t, p.Present(t.Context(), record(value))) }
		cleanUp := func(value string) { t.Helper(); ok(t, p.CleanUp(t.Context(), record(value))) }
		has := func(want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, s.values(kind, fqdn)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		meanwhile("a") // made by another
		present(first)
		has("a", first)
		meanwhile("a", first, "b") // added to
		present(second)
		has("a", first, "b", second)
		meanwhile() // removed by another
		present("e")
		has("e")
		meanwhile("e", "c") // no longer the last value
		cleanUp("e")
		has("c")
		meanwhile("c", "d", second)
		cleanUp("c")
		has("d", second)
		meanwhile() // gone already
		cleanUp("d")
		has()
	})
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestManyWriters(t *testing.T) {
	each(t, func(t *testing.T, s *server, kind string, p *Provider) {
		const writers = 6 // fewer than maxWrites: one of them succeeds each time
		var want []string
		var all sync.WaitGroup
		for i := range writers {
			value := strings.Repeat(string(rune('a'+i)), 43)
			want = append(want, value)
			all.Go(func() {
				if err := p.Present(t.Context(), record(value)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		got := s.values(kind, fqdn)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, value := range want {
			all.Go(func() {
				if err := p.CleanUp(t.Context(), record(value)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if set := s.At(kind, fqdn); set != nil {
			t.Errorf("left: %v", set)
		}
	})
}

// TestBusy tests that a call ends if others write all the time.
func TestBusy(t *testing.T) {
	each(t, func(t *testing.T, s *server, kind string, p *Provider) {
		s.Sets[key(kind)] = &azurednstest.Set{ETag: "0", TTL: 1, Values: [][]string{{first}}}
		writes := 0
		var again func(string)
		again = func(string) {
			writes++
			set := *s.Sets[key(kind)]
			set.ETag += "0"
			s.Sets[key(kind)], s.Before = &set, again
		}
		s.Do(func() { s.Before = again })
		for _, err := range []error{p.Present(t.Context(), record(second)), p.CleanUp(t.Context(), record(first))} {
			if f := fault.Of(err); f == nil || f.Class != fault.Transient || f.Reason != "Busy" {
				t.Errorf("%v", err)
			}
		}
		if writes != 2*maxWrites {
			t.Errorf("%d writes, want %d", writes, 2*maxWrites)
		}
	})
}

func TestZone(t *testing.T) {
	each(t, func(t *testing.T, s *server, kind string, p *Provider) {
		s.Zones[kind] = []string{"a.org", "b.org", "com", "Example.com", "c.org", "d.org", "_acme-challenge.api.example.com", "www.example.com"}
		for name, want := range map[string]string{
			"_acme-challenge.example.com.":         "example.com.",
			"_acme-challenge.sub.example.com":      "example.com.",
			"_ACME-challenge.WWW.Example.COM.":     "www.example.com.",
			"_acme-challenge.xwww.example.com.":    "example.com.",
			"_acme-challenge.api.example.com.":     "_acme-challenge.api.example.com.",
			"x._acme-challenge.api.example.com.":   "_acme-challenge.api.example.com.",
			"_acme-challenge.other.com.":           "com.",
			"_acme-challenge.example.com.other.d.": "",
		} {
			if zone, err := p.Zone(t.Context(), name); zone != want || (err == nil) != (want != "") {
				t.Errorf("%s: %q, %v, want %q", name, zone, err, want)
			}
		}
		r := dns01.Record{FQDN: "_acme-challenge.api.example.com.", Value: first}
		ok(t, p.Present(t.Context(), r))
		if s.Sets[strings.ToLower(kind)+"/_acme-challenge.api.example.com/@"] == nil {
			t.Error("a zone at the name itself: the set is not at @")
		}
	})
}

// TestRoleAtZone tests an identity that may not list the zones of the group.
func TestRoleAtZone(t *testing.T) {
	each(t, func(t *testing.T, s *server, kind string, p *Provider) {
		s.Role = "zone"
		ok(t, p.Present(t.Context(), record(first)))
		if zone, err := p.Zone(t.Context(), "_acme-challenge.a.deep.sub.example.com."); zone != "deep.sub.example.com." || err != nil {
			t.Errorf("%q, %v", zone, err)
		}
		if _, err := p.Zone(t.Context(), "_acme-challenge.example.net."); fault.Of(err).Reason != "Forbidden" {
			t.Errorf("no zone: %v", err)
		}
	})
}

// TestZoneIsRemembered tests that the zones are listed once for a name, and again if
// the zone has gone.
func TestZoneIsRemembered(t *testing.T) {
	s := newServer(t, publicCloud)
	s.Zones["dnsZones"] = []string{"example.com", "www.example.com"}
	p := provider(t, s.principal())
	ok(t, p.Present(t.Context(), record(first)))
	ok(t, p.CleanUp(t.Context(), record(first)))
	lists := 0
	for _, r := range s.Requests {
		if strings.HasSuffix(r, "/dnsZones") {
			lists++
		}
	}
	if lists != 1 {
		t.Errorf("%d lists, want 1", lists)
	}
	s.Do(func() { s.Zones["dnsZones"] = []string{"example.com"} })
	if f := fault.Of(p.Present(t.Context(), record(first))); f == nil || f.Reason != "ZoneNotFound" {
		t.Errorf("the zone has gone: %v", f)
	}
	ok(t, p.Present(t.Context(), record(first)))
	if s.At("dnsZones", fqdn) == nil {
		t.Error("the record is not in the other zone")
	}
	s.Do(func() { s.Zones["dnsZones"] = nil })
	ok(t, p.CleanUp(t.Context(), record(first)))
}
