package propagation

import (
	"fmt"
	"testing"
	"time"
)

// TestLag has what probes of records of one zone have found, and how long the next
// record is left alone.
func TestLag(t *testing.T) {
	type probe struct {
		age     time.Duration
		visible bool
	}
	missing := func(age time.Duration) probe { return probe{age, false} }
	visible := func(age time.Duration) probe { return probe{age, true} }
	const ms, s = time.Millisecond, time.Second
	for name, test := range map[string]struct {
		probes []probe
		want   time.Duration
	}{
		"nothing is known":                 {nil, 0},
		"prompt":                           {[]probe{visible(20 * ms), visible(30 * ms)}, 0},
		"missing so far":                   {[]probe{missing(10 * ms), missing(s)}, 1500 * ms},
		"found between two probes":         {[]probe{missing(10 * ms), missing(s), visible(3010 * ms)}, 1500 * ms},
		"found between two that are near":  {[]probe{missing(10 * ms), missing(s), visible(2900 * ms)}, 2900 * ms},
		"found soon after":                 {[]probe{missing(2900 * ms), visible(3010 * ms)}, 3010 * ms},
		"found by a probe that came late":  {[]probe{missing(2900 * ms), visible(9 * s)}, 3400 * ms},
		"the least age counts":             {[]probe{missing(2900 * ms), visible(3300 * ms), visible(3100 * ms), visible(3200 * ms)}, 3100 * ms},
		"slower than it was":               {[]probe{missing(s), visible(1200 * ms), missing(1300 * ms)}, 1800 * ms},
		"quicker than it was":              {[]probe{missing(4 * s), visible(4200 * ms), visible(2 * s)}, 2 * s},
		"prompt again":                     {[]probe{missing(4 * s), visible(4200 * ms), visible(100 * ms)}, 0},
		"so slow that a probe is worth it": {[]probe{missing(9800 * ms)}, 10 * s},
		"stuck":                            {[]probe{missing(s), missing(11 * s), missing(time.Hour)}, 1500 * ms},
		"a clock that went back":           {[]probe{missing(-s)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var l Ledger
			for _, p := range test.probes {
				l.Lagged("Example.com", p.age, p.visible, t0)
			}
			if got := l.Lag("example.com."); got != test.want {
				t.Errorf("it is left alone for %s, want %s", got, test.want)
			}
			if got := l.Lag("other.example."); got != 0 {
				t.Errorf("another zone's record is left alone for %s", got)
			}
		})
	}
}

// TestLagScout holds that now and then a record is probed early, so that servers that
// have become quicker are noticed, and that what is old is forgotten.
func TestLagScout(t *testing.T) {
	var l Ledger
	l.Lagged("example.com.", 3500*time.Millisecond, false, t0)
	l.Lagged("example.com.", 4*time.Second, true, t0)
	var got []bool
	for _, at := range []time.Duration{0, time.Second, 29 * time.Second, 30 * time.Second, 31 * time.Second, 60 * time.Second} {
		got = append(got, l.Scout("example.com.", after(at)))
	}
	if want := "[false false false true false true]"; fmt.Sprint(got) != want {
		t.Errorf("early probes %v, want %s", got, want)
	}
	for at := range 12 {
		l.Lagged("other.example.", time.Second, false, after(time.Duration(at)*time.Minute))
	}
	if _, ok := l.lags["example.com."]; ok {
		t.Error("it is kept for longer than 10 min")
	}
}
