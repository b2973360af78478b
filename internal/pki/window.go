package pki

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // an image from scratch has no time zones

	"github.com/robfig/cron/v3"
)

// Window is a time that recurs, and in which certificates may be renewed.
type Window struct {
	// Cron says when the window begins: five fields (minute, hour, day of the month,
	// month, day of the week), or a descriptor such as @daily. TZ= or CRON_TZ=, a
	// time zone and a space may precede it.
	Cron string
	// TimeZone is the IANA name of the zone of Cron, whose daylight saving time
	// counts. Empty is UTC.
	TimeZone string
	// Length is how long the window lasts.
	Length time.Duration
}

const (
	// maxWindows bounds the windows of one certificate: each is searched for years.
	maxWindows = 100
	// maxShown bounds what a message repeats of an expression.
	maxShown = 100
)

// WithinWindows moves a renewal that is wanted at a time in the life of a
// certificate into one of some windows. If the wanted time lies in a window, the
// ends included, it stays; else it becomes the first beginning of a window after it.
// end is the end of that window, zero without windows. A window that begins when the
// certificate has expired does not count. Without a window that does, and if one of
// them has a mistake, WithinWindows returns an error.
func WithinWindows(wanted, notBefore, notAfter time.Time, windows []Window) (at, end time.Time, err error) {
	if len(windows) == 0 {
		return wanted, time.Time{}, nil
	}
	if len(windows) > maxWindows {
		return at, end, fmt.Errorf("there are %d windows, and at most %d are possible", len(windows), maxWindows)
	}
	known := make([]recurrence, len(windows))
	for i, w := range windows {
		if known[i], err = w.parse(i, notBefore); err != nil {
			return at, end, err
		}
	}
	var next, nextEnd time.Time
	left := maxSearches
	for _, r := range known {
		start := r.startFrom(wanted.Add(-r.length), notAfter, &left)
		last := start.Add(r.length)
		switch {
		case start.IsZero():
		case start.After(wanted):
			if next.IsZero() || start.Before(next) {
				next, nextEnd = start, last
			}
		case last.After(end):
			at, end = wanted, last
		}
	}
	if at.IsZero() {
		at, end = next, nextEnd
	}
	if at.IsZero() {
		err = fmt.Errorf("cannot find a time with the given windows between %s and %s for: %s",
			notBefore.UTC().Format(time.RFC3339), notAfter.UTC().Format(time.RFC3339), wanted.UTC().Format(time.RFC3339))
	}
	return at, end, err
}

// recurrence is a Window that has been parsed.
type recurrence struct {
	schedule cron.Schedule
	length   time.Duration
	// anchor is what the beginnings of @every are counted from.
	anchor time.Time
}

func (w Window) parse(index int, notBefore time.Time) (recurrence, error) {
	if w.Length <= 0 {
		return recurrence{}, fmt.Errorf("windowDuration must be a positive duration in window %d: %s", index, w.Length)
	}
	r := recurrence{length: w.Length, anchor: notBefore.Add(-w.Length)}
	location := time.UTC
	var err error
	switch own := hasZone(w.Cron); {
	case own && w.TimeZone != "":
		return r, fmt.Errorf("error parsing cron in window %d: the expression has a time zone, and timezone is set too", index)
	case !own:
		if location, err = time.LoadLocation(w.TimeZone); err != nil {
			return r, fmt.Errorf("error parsing timezone in window %d: unknown time zone %.*q", index, maxShown, w.TimeZone)
		}
	}
	if r.schedule, err = ParseCron(w.Cron); err != nil {
		return r, fmt.Errorf("error parsing cron in window %d: failed to parse cron spec '%.*s': %.*s", index, maxShown, w.Cron, 2*maxShown, err)
	}
	if spec, ok := r.schedule.(*cron.SpecSchedule); ok && !hasZone(w.Cron) {
		spec.Location = location
	}
	return r, nil
}

// startFrom returns the first beginning at a time or later, zero if there is none
// before another time, or none is found with the searches that are left.
func (r recurrence) startFrom(from, before time.Time, left *int) time.Time {
	if every, ok := r.schedule.(cron.ConstantDelaySchedule); ok {
		periods := max(from.Sub(r.anchor)/every.Delay, 1)
		start := r.anchor.Add(periods * every.Delay)
		if start.Before(from) {
			start = start.Add(every.Delay)
		}
		return ifBefore(start, before)
	}
	spec, ok := r.schedule.(*cron.SpecSchedule)
	if !ok {
		return time.Time{}
	}
	return ifBefore(firstOf(spec, from, before, left), before)
}

func ifBefore(t, limit time.Time) time.Time {
	if t.Before(limit) {
		return t
	}
	return time.Time{}
}

// hasZone reports whether a cron expression begins with its time zone.
func hasZone(expression string) bool {
	return strings.HasPrefix(expression, "TZ=") || strings.HasPrefix(expression, "CRON_TZ=")
}

// ParseCron parses an expression as Window has it. One without a time zone is in
// that of this machine.
func ParseCron(expression string) (cron.Schedule, error) {
	if hasZone(expression) && !strings.Contains(expression, " ") {
		// The parser panics.
		return nil, errors.New("a zone without an expression")
	}
	return cron.ParseStandard(expression)
}
