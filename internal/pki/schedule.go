package pki

import (
	"time"

	"github.com/robfig/cron/v3"
)

const (
	// cronHorizon is the number of years in which a schedule begins, if it ever does:
	// 29 February takes 8 when a century is no leap year.
	cronHorizon = 8
	// maxSearches bounds the days on which the windows of one certificate are searched
	// for the time of the day at which they begin. One search for each is enough, and
	// another one if the time has passed today or is skipped in spring.
	maxSearches = 3 * maxWindows
	// starBit marks a field of the parser that began with a star.
	starBit = 1 << 63
)

// firstOf returns the first time of a schedule from a time on, zero if there is none
// before another time. It counts down the searches that are left, and gives up
// without one. The parser's own search takes milliseconds for a schedule that has
// no day: it adds day to day in the time zone. So firstOf looks for the day in the
// calendar, and the parser only for the time on that day.
func firstOf(s *cron.SpecSchedule, from, before time.Time, left *int) time.Time {
	location := s.Location
	if location == time.Local {
		// The parser takes it for that of the time that it is given.
		location = from.Location()
	}
	from = from.In(location)
	daily := *s
	daily.Month, daily.Dom, daily.Dow = anyTime, anyTime, anyTime
	year, month, day := from.Date()
	last := min(before.In(location).Year(), year+cronHorizon)
	for first := day; year <= last; first = 1 {
		for _, day := range daysOf(s, year, month, first) {
			if *left--; *left < 0 {
				return time.Time{}
			}
			// The parser's schedules begin after the time that they are given.
			start := daily.Next(later(from, midnight(year, month, day, location)).Add(-1))
			if y, m, d := start.In(location).Date(); y == year && m == month && d == day {
				return start
			}
		}
		if month++; month > time.December {
			year, month = year+1, time.January
		}
	}
	return time.Time{}
}

// anyTime is a field of the parser that is a star.
const anyTime = 1<<64 - 1

// daysOf returns the days of a month on which a schedule has times, from one on.
func daysOf(s *cron.SpecSchedule, year int, month time.Month, first int) []int {
	if s.Month&(1<<month) == 0 {
		return nil
	}
	length := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	weekday := int(time.Date(year, month, first, 0, 0, 0, 0, time.UTC).Weekday())
	var days []int
	for day := first; day <= length; day++ {
		inMonth, inWeek := s.Dom&(1<<day) != 0, s.Dow&(1<<weekday) != 0
		// Days of the month and of the week add to each other, unless one is a star.
		if inMonth && inWeek || (inMonth || inWeek) && s.Dom&starBit == 0 && s.Dow&starBit == 0 {
			days = append(days, day)
		}
		weekday = (weekday + 1) % 7
	}
	return days
}

// midnight is when a day begins: at one in zones that skip the hour before.
func midnight(year int, month time.Month, day int, location *time.Location) time.Time {
	start := time.Date(year, month, day, 0, 0, 0, 0, location)
	if start.Day() != day {
		return start.Add(time.Hour)
	}
	return start
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
