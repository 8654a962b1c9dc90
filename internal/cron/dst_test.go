package cron_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClockChanges(t *testing.T) {
	for _, c := range []struct{ about, zone, spec, from, want string }{
		{"left out: at the first moment after it", "Europe/Berlin", "30 2 * * *", "2026-03-28 12:00:00", "2026-03-29 03:00:00; 30 02:30:00"},
		{"left out together: due as one", "Europe/Berlin", "*/10 2 * * *", "2026-03-28 12:00:00", "2026-03-29 03:00:00; 30 02:00:00; 10:00"},
		{"left out, and the moment after it is a tick too", "Europe/Berlin", "30 2,3 * * *", "2026-03-28 12:00:00", "2026-03-29 03:00:00; 30:00; 30 02:30:00"},
		{"left out, and due anyway then", "Europe/Berlin", "0 2-4 * * *", "2026-03-28 12:00:00", "2026-03-29 03:00:00; 04:00:00; 30 02:00:00"},
		{"left out, by the second", "Europe/Berlin", "59 59 2 * * *", "2026-03-28 12:00:00", "2026-03-29 03:00:00; 30 02:59:59"},
		{"the last second before", "Europe/Berlin", "59 59 1 * * *", "2026-03-28 12:00:00", "2026-03-29 01:59:59; 30 01:59:59"},
		{"some hours, by a step: none is lost", "Europe/Berlin", "0 */2 * * *", "2026-03-29 00:30:00", "2026-03-29 03:00:00; 04:00:00"},
		{"every hour: no time that no clock shows", "Europe/Berlin", "30 * * * *", "2026-03-29 00:30:00", "2026-03-29 01:30:00; 03:30:00"},
		{"twice: the first", "Europe/Berlin", "30 2 * * *", "2026-10-24 12:00:00", "2026-10-25 02:30:00; 26 02:30:00"},
		{"twice: the hour goes by once", "Europe/Berlin", "*/30 1-3 * * *", "2026-10-25 00:30:00", "2026-10-25 01:00:00; 30:00; 02:00:00; 30:00; 03:00:00; 30:00; 26 01:00:00"},
		{"every hour: twice", "Europe/Berlin", "30 * * * *", "2026-10-25 01:00:00", "2026-10-25 01:30:00; 02:30:00; 02:30:00; 03:30:00"},
		{"every hour, written as a range", "Europe/Berlin", "30 0-23 * * *", "2026-10-25 01:00:00", "2026-10-25 01:30:00; 02:30:00; 02:30:00; 03:30:00"},
		{"every hour, every second", "Europe/Berlin", "* * * * * *", "2026-03-29 01:59:58", "2026-03-29 01:59:59; 03:00:00; 01"},
		{"half an hour left out", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03 12:00:00", "2026-10-04 02:30:00; 05 02:15:00"},
		{"half an hour twice", "Australia/Lord_Howe", "45 1 * * *", "2026-04-04 12:00:00", "2026-04-05 01:45:00; 06 01:45:00"},
		{"half an hour twice, every hour", "Australia/Lord_Howe", "*/15 * * * *", "2026-04-05 01:20:00", "2026-04-05 01:30:00; 45:00; 01:30:00; 45:00; 02:00:00"},
		{"no midnight", "America/Sao_Paulo", "@daily", "2018-11-03 12:00:00", "2018-11-04 01:00:00; 05 00:00:00"},
		{"no midnight", "Asia/Beirut", "@daily", "2026-03-28 12:00:00", "2026-03-29 01:00:00; 30 00:00:00"},
		{"no midnight", "Africa/Cairo", "0 0 * * FRI", "2026-04-23 12:00:00", "2026-04-24 01:00:00; 05-01 00:00:00"},
		{"no midnight, every hour", "America/Sao_Paulo", "@hourly", "2018-11-03 22:30:00", "2018-11-03 23:00:00; 04 01:00:00; 02:00:00"},
		{"the hour before midnight twice: the day does not begin twice", "America/Sao_Paulo", "@daily", "2018-02-17 12:00:00", "2018-02-18 00:00:00; 19 00:00:00"},
		{"midnight twice", "America/Havana", "@daily", "2026-10-31 12:00:00", "2026-11-01 00:00:00; 02 00:00:00"},
		{"the hour before midnight twice, on a weekday", "Africa/Cairo", "30 23 * * THU", "2026-10-28 12:00:00", "2026-10-29 23:30:00; 11-05 23:30:00"},
		{"a day left out", "Pacific/Apia", "0 12 * * *", "2011-12-28 12:00:00", "2011-12-29 12:00:00; 31 00:00:00; 12:00:00"},
		{"a day left out, and it was the only one", "Pacific/Apia", "0 12 30 12 *", "2011-01-01 00:00:00", "2011-12-31 00:00:00; 2012-12-30 12:00:00"},
		{"a day left out, every hour", "Pacific/Apia", "0 * * * *", "2011-12-29 22:30:00", "2011-12-29 23:00:00; 31 00:00:00; 01:00:00"},
		{"a day left out, every hour, and it was the only one", "Pacific/Apia", "0 * 30 12 *", "2011-01-01 00:00:00", "2012-12-30 00:00:00; 01:00:00"},
		{"a day left out", "Pacific/Kwajalein", "0 3 * * *", "1993-08-19 12:00:00", "1993-08-20 03:00:00; 22 00:00:00; 03:00:00"},
		{"the change at a new year", "Asia/Shanghai", "0 0 1 1 *", "1990-06-01 00:00:00", "1991-01-01 00:00:00"},
		{"the change to summer time that sets clocks back for Ramadan", "Africa/Casablanca", "30 2 * * *", "2026-02-14 12:00:00", "2026-02-15 02:30:00; 16 02:30:00"},
		{"far away, by the rule", "Europe/Berlin", "30 2 * * *", "2400-03-25 12:00:00", "2400-03-26 03:00:00; 27 02:30:00"},
	} {
		s := parse(t, "TZ="+c.zone+" "+c.spec)
		t.Log(c.about)
		requireTicks(t, s, at(t, c.zone, c.from), c.want)
	}
}

// Between the two times that are the same on the wall clock, what is due once has been due.
func TestRepeatedHour(t *testing.T) {
	s := parse(t, "TZ=Europe/Berlin 30 2 * * *")
	first := time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC)
	for _, d := range []time.Duration{0, 1, 29 * time.Minute, 30 * time.Minute, 59 * time.Minute, time.Hour, 61 * time.Minute} {
		require.True(t, s.Last(first.Add(d)).Equal(first), d)
		require.Equal(t, "2026-10-26 02:30:00", s.Next(first.Add(d)).Format(layout), d)
	}
	every := parse(t, "TZ=Europe/Berlin 30 * * * *")
	require.True(t, every.Next(first).Equal(first.Add(time.Hour)))
	require.True(t, every.Last(first.Add(2*time.Hour-1)).Equal(first.Add(time.Hour)))
}

// golang.org/issue/81583: on the last day of leap years, package time says that the offset has ended in the past.
func TestLastDayOfLeapYears(t *testing.T) {
	for _, spec := range []string{"TZ=Europe/Berlin 0 * * * *", "TZ=Europe/Berlin 0 9,21 * * *", "TZ=America/New_York 0 * * * *", "TZ=Australia/Sydney 0 0 * * *"} {
		s := parse(t, spec)
		for _, year := range []int{2040, 2096, 2400} {
			from, n := time.Date(year, 12, 30, 0, 0, 0, 0, time.UTC), 0
			for tick := s.Next(from); tick.Before(from.AddDate(0, 0, 4)); tick = s.Next(tick) {
				require.Equal(t, tick, s.Last(tick))
				n++
			}
			require.Contains(t, []int{4, 8, 95}, n, spec)
		}
	}
	s := parse(t, "TZ=Europe/Berlin 0 * 1 7 *")
	require.Equal(t, "2041-07-01 00:00:00", s.Next(time.Date(2040, 12, 31, 12, 0, 0, 0, time.UTC)).Format(layout))
}
