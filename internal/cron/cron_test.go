package cron_test

import (
	"math"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/earshot-go/earshot/internal/cron"
	"github.com/stretchr/testify/require"
)

const layout = "2006-01-02 15:04:05"

func parse(t testing.TB, spec string) *cron.Schedule {
	t.Helper()
	s, err := cron.Parse(spec)
	require.NoError(t, err)
	return s
}

func at(t testing.TB, zone, text string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	require.NoError(t, err)
	tm, err := time.ParseInLocation(layout, text, loc)
	require.NoError(t, err)
	return tm
}

// requireTicks checks the ticks after from, forwards and backwards. They are separated by "; " and may leave out
// what they share with the tick before at the beginning.
func requireTicks(t testing.TB, s *cron.Schedule, from time.Time, want string) {
	t.Helper()
	var full string
	for tick := range strings.SplitSeq(want, "; ") {
		full = full[:max(0, len(full)-len(tick))] + tick
		next := s.Next(from)
		require.Equal(t, full, next.Format(layout), "%s: Next(%s)", s, from)
		require.Equal(t, next, s.Last(next), "%s: Last(%s)", s, next)
		require.Equal(t, next, s.Last(next.Add(time.Second-1)), "%s: Last, a moment later", s)
		require.Equal(t, next, s.Next(next.Add(-1)), "%s: Next, a moment earlier", s)
		require.Equal(t, s.Last(from), s.Last(next.Add(-1)), "%s: Last, a moment earlier", s)
		from = next
	}
}

// All of these are for what comes after Thursday, 2026-01-01 00:00:00 UTC.
func TestFields(t *testing.T) {
	for spec, want := range map[string]string{
		"* * * * *":                    "2026-01-01 00:01:00; 02:00; 03:00",
		"? ? ? ? ?":                    "2026-01-01 00:01:00; 02:00",
		"*/15 * * * *":                 "2026-01-01 00:15:00; 30:00; 45:00; 01:00:00; 15:00",
		"5/15 * * * *":                 "2026-01-01 00:05:00; 20:00; 35:00; 50:00; 01:05:00",
		"10-50/20 * * * *":             "2026-01-01 00:10:00; 30:00; 50:00; 01:10:00",
		"*/40 * * * *":                 "2026-01-01 00:40:00; 01:00:00; 40:00",
		"3,1,2-4 2 * * *":              "2026-01-01 02:01:00; 02:00; 03:00; 04:00; 02 02:01:00",
		"59 23 * * *":                  "2026-01-01 23:59:00; 02 23:59:00",
		"0 9-17/4 * * *":               "2026-01-01 09:00:00; 13:00:00; 17:00:00; 02 09:00:00",
		"00 08 01 02 *":                "2026-02-01 08:00:00; 2027-02-01 08:00:00",
		"0 0 31 * *":                   "2026-01-31 00:00:00; 03-31 00:00:00; 05-31 00:00:00; 07-31 00:00:00; 08-31 00:00:00",
		"0 0 30 * *":                   "2026-01-30 00:00:00; 03-30 00:00:00",
		"0 0 L * *":                    "2026-01-31 00:00:00; 02-28 00:00:00; 03-31 00:00:00; 04-30 00:00:00",
		"0 0 l 2 *":                    "2026-02-28 00:00:00; 2027-02-28 00:00:00; 2028-02-29 00:00:00",
		"0 0 15,L FEB,Jun *":           "2026-02-15 00:00:00; 28 00:00:00; 06-15 00:00:00; 30 00:00:00; 2027-02-15 00:00:00",
		"0 0 29 2 *":                   "2028-02-29 00:00:00; 2032-02-29 00:00:00",
		"0 0 1 jan-mar/2,DEC *":        "2026-03-01 00:00:00; 12-01 00:00:00; 2027-01-01 00:00:00",
		"0 0 1 */5 *":                  "2026-06-01 00:00:00; 11-01 00:00:00; 2027-01-01 00:00:00",
		"0 0 */10 * *":                 "2026-01-11 00:00:00; 21 00:00:00; 31 00:00:00; 02-01 00:00:00",
		"0 9 * * MON":                  "2026-01-05 09:00:00; 12 09:00:00",
		"0 9 * * 0":                    "2026-01-04 09:00:00; 11 09:00:00",
		"0 9 * * 7":                    "2026-01-04 09:00:00; 11 09:00:00",
		"0 9 * * sun,Wed":              "2026-01-04 09:00:00; 07 09:00:00; 11 09:00:00",
		"0 9 * * MON-FRI":              "2026-01-01 09:00:00; 02 09:00:00; 05 09:00:00",
		"0 9 * * 5-7":                  "2026-01-02 09:00:00; 03 09:00:00; 04 09:00:00; 09 09:00:00",
		"0 9 * * SAT-SUN":              "2026-01-03 09:00:00; 04 09:00:00; 10 09:00:00",
		"0 9 * * 7-1":                  "2026-01-04 09:00:00; 05 09:00:00; 11 09:00:00",
		"0 9 * * 7-7":                  "2026-01-04 09:00:00; 11 09:00:00",
		"0 9 * * 7-0":                  "2026-01-04 09:00:00; 11 09:00:00",
		"0 9 * * 0-7":                  "2026-01-01 09:00:00; 02 09:00:00; 03 09:00:00; 04 09:00:00",
		"0 9 * * */3":                  "2026-01-03 09:00:00; 04 09:00:00; 07 09:00:00; 10 09:00:00",
		"0 9 * * 7/3":                  "2026-01-03 09:00:00; 04 09:00:00; 07 09:00:00; 10 09:00:00",
		"0 9 * * FRI#2":                "2026-01-09 09:00:00; 02-13 09:00:00; 03-13 09:00:00",
		"0 9 * * 7#1,thu#5":            "2026-01-04 09:00:00; 29 09:00:00; 02-01 09:00:00; 03-01 09:00:00; 04-05 09:00:00; 30 09:00:00",
		"0 9 * * FRIL":                 "2026-01-30 09:00:00; 02-27 09:00:00; 03-27 09:00:00",
		"0 9 * * SATL":                 "2026-01-31 09:00:00; 02-28 09:00:00; 03-28 09:00:00",
		"0 9 * * 0l,MON#1":             "2026-01-05 09:00:00; 25 09:00:00; 02-02 09:00:00; 22 09:00:00",
		"0 9 * 2 SUN#5":                "2032-02-29 09:00:00; 2060-02-29 09:00:00; 2088-02-29 09:00:00; 2128-02-29 09:00:00",
		"0 0 13 * FRI":                 "2026-01-02 00:00:00; 09 00:00:00; 13 00:00:00; 16 00:00:00",
		"0 0 L * FRI#1":                "2026-01-02 00:00:00; 31 00:00:00; 02-06 00:00:00; 28 00:00:00",
		"0 0 31 2 FRI":                 "2026-02-06 00:00:00; 13 00:00:00",
		"0 0 */10 * FRI":               "2026-05-01 00:00:00; 07-31 00:00:00; 08-21 00:00:00; 09-11 00:00:00", // begins with *: both
		"0 0 13 * */5":                 "2026-02-13 00:00:00; 03-13 00:00:00; 09-13 00:00:00",                 // the same: Sundays and Fridays
		"0 0 ? * FRI":                  "2026-01-02 00:00:00; 09 00:00:00",
		"0 0 13 * ?":                   "2026-01-13 00:00:00; 02-13 00:00:00",
		"* * * * * *":                  "2026-01-01 00:00:01; 02; 03",
		"*/20 * * * * *":               "2026-01-01 00:00:20; 40; 01:00; 20",
		"30 */30 * * * *":              "2026-01-01 00:00:30; 30:30; 01:00:30",
		"5,55 59 23 31 DEC *":          "2026-12-31 23:59:05; 55; 2027-12-31 23:59:05",
		"@yearly":                      "2027-01-01 00:00:00; 2028-01-01 00:00:00",
		"@annually":                    "2027-01-01 00:00:00; 2028-01-01 00:00:00",
		"@monthly":                     "2026-02-01 00:00:00; 03-01 00:00:00",
		"@Weekly":                      "2026-01-04 00:00:00; 11 00:00:00",
		"@daily":                       "2026-01-02 00:00:00; 03 00:00:00",
		"@midnight":                    "2026-01-02 00:00:00; 03 00:00:00",
		"@hourly":                      "2026-01-01 01:00:00; 02:00:00",
		"@every 90s":                   "2026-01-01 00:01:30; 03:00; 04:30",
		"@EVERY 1h30m":                 "2026-01-01 01:30:00; 03:00:00",
		"@every 1s":                    "2026-01-01 00:00:01; 02",
		"@every 168h":                  "2026-01-08 00:00:00; 15 00:00:00", // the epoch was a Thursday
		"TZ=UTC 0 9 * * *":             "2026-01-01 09:00:00; 02 09:00:00",
		"CRON_TZ=Asia/Tokyo 0 9 * * *": "2026-01-02 09:00:00; 03 09:00:00",
		"TZ=Asia/Tokyo @daily":         "2026-01-02 00:00:00; 03 00:00:00",
		"  0\t9 *  * *\n":              "2026-01-01 09:00:00",
	} {
		s := parse(t, spec)
		requireTicks(t, s, at(t, "UTC", "2026-01-01 00:00:00"), want)
		require.Equal(t, strings.Join(strings.Fields(spec), " "), s.String())
		again := parse(t, s.String())
		require.Equal(t, s, again)
	}
}

// Processes agree on the ticks of an interval whenever they ask, and on nothing else than whole multiples.
func TestEveryIsAlignedToTheEpoch(t *testing.T) {
	for _, spec := range []string{"@every 90s", "@every 7m", "@every 25h", "@every 1000000h"} {
		s := parse(t, spec)
		d, err := time.ParseDuration(strings.TrimPrefix(spec, "@every "))
		require.NoError(t, err)
		for _, from := range []int64{-5, -1, 0, 1, 89, 90, 91, 1_767_225_600, 1_767_225_599} {
			next := s.Next(time.Unix(from, 999))
			require.Zero(t, next.Unix()%int64(d/time.Second), "%s: Next(%d)", spec, from)
			require.True(t, next.Unix() > from && next.Unix() <= max(0, from+int64(d/time.Second)), "%s: Next(%d) is %d", spec, from, next.Unix())
		}
	}
	require.Equal(t, int64(0), parse(t, "@every 7m").Next(time.Unix(-1, 0)).Unix())
}

func TestFirstAndLastTick(t *testing.T) {
	for _, spec := range []string{"* * * * *", "0 0 1 1 *", "@every 24h"} {
		s := parse(t, spec)
		for _, before := range []time.Time{{}, time.Unix(-1, 0), time.Unix(math.MinInt64, 0), time.Date(-5000, 1, 1, 0, 0, 0, 0, time.UTC)} {
			require.Equal(t, time.Unix(0, 0).UTC(), s.Next(before), "%s: Next(%s)", spec, before)
			require.Zero(t, s.Last(before), "%s: Last(%s)", spec, before)
		}
		end := s.Last(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))
		require.Equal(t, 9999, end.Year(), spec)
		for _, after := range []time.Time{end, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(200_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(1<<62, 0), time.Unix(math.MaxInt64, 0)} {
			require.Zero(t, s.Next(after), "%s: Next(%s)", spec, after)
			require.Equal(t, end, s.Last(after), "%s: Last(%s)", spec, after)
		}
	}
	// West of Greenwich the epoch is in 1969, east of it the last tick is in 10000.
	require.Equal(t, "1969-12-31 19:00:00", parse(t, "TZ=America/New_York 0 * * * *").Next(time.Time{}).Format(layout))
	require.Equal(t, "1970-01-01 00:00:00", parse(t, "TZ=America/New_York 0 0 * * *").Next(time.Time{}).Format(layout))
	require.Equal(t, "10000-01-01 08:00:00", parse(t, "TZ=Asia/Tokyo 0 8 * * *").Last(time.Unix(1<<60, 0)).Format(layout))
	require.Equal(t, "10000-01-01 08:59:59", parse(t, "TZ=Asia/Tokyo * * * * * *").Last(time.Unix(1<<60, 0)).Format(layout))
	require.Equal(t, "1969-12-31 20:00:00", parse(t, "TZ=America/New_York 0 * * * *").Last(time.Unix(7199, 0)).Format(layout))
	require.Equal(t, "1969-12-31 20:00:00", parse(t, "TZ=America/New_York 0 20 * * *").Last(time.Unix(7199, 0)).Format(layout))
	require.Equal(t, "10000-01-01 08:00:00", parse(t, "TZ=Asia/Tokyo 0 8 * * *").Next(time.Date(9999, 12, 31, 22, 30, 0, 0, time.UTC)).Format(layout))
	require.Equal(t, "10000-01-01 08:00:00", parse(t, "TZ=Asia/Tokyo 0 * * * *").Next(time.Date(9999, 12, 31, 22, 30, 0, 0, time.UTC)).Format(layout))
	require.Zero(t, parse(t, "0 0 1 2 *").Last(time.Unix(86400*30, 0)))
	require.Zero(t, parse(t, "0 * 1 2 *").Last(time.Unix(86400*30, 0)))
	require.Zero(t, parse(t, "0 0 29 2 *").Next(time.Date(9996, 3, 1, 0, 0, 0, 0, time.UTC)))
	require.Zero(t, parse(t, "0 0 * 2 SUN#5").Next(time.Date(9999, 6, 1, 0, 0, 0, 0, time.UTC)))
	require.Zero(t, parse(t, "0 * 29 2 *").Next(time.Date(9996, 3, 1, 0, 0, 0, 0, time.UTC)))
}

func TestErrors(t *testing.T) {
	const (
		days   = "it is 1 to 31, or L for the last day"
		months = "it is 1 to 12, or JAN to DEC"
		week   = "it is 0 to 7 (0 and 7 are Sunday), SUN to SAT, FRI#2 for the second Friday or FRIL for the last one"
		count  = "it is 5 (minute hour day-of-month month day-of-week) or 6 (second first)"
		names  = `it is @yearly, @monthly, @weekly, @daily, @hourly or one like "@every 90s"`
		every  = "it is a duration in whole seconds like 90s, 15m or 1h30m"
		unzone = `is unknown here: it is a name like Europe/Berlin (if those are unknown too, import _ "time/tzdata" in the program)`
	)
	for spec, want := range map[string]string{
		"61 * * * *":                     "minute 61: it is 0 to 59",
		"60 0 0 * * *":                   "second 60: it is 0 to 59",
		"* 24 * * *":                     "hour 24: it is 0 to 23",
		"0 0 0 * *":                      "day-of-month 0: " + days,
		"0 0 32 * *":                     "day-of-month 32: " + days,
		"0 0 L-3 * *":                    `day-of-month "L-3": ` + days,
		"0 0 1 0 *":                      "month 0: " + months,
		"0 0 1 13 *":                     "month 13: " + months,
		"0 0 1 JANUARY *":                `month "JANUARY": ` + months,
		"0 0 1 ANF *":                    `month "ANF": ` + months,
		"0 0 1 MON *":                    `month "MON": ` + months,
		"0 0 * * 8":                      "day-of-week 8: " + week,
		"0 0 * * JAN":                    `day-of-week "JAN": ` + week,
		"0 0 * * L":                      `day-of-week "L": ` + week,
		"0 0 * * FOOL":                   `day-of-week "FOOL": ` + week,
		"0 0 * * 1-5L":                   `day-of-week "1-5L": ` + week,
		"0 0 * * #2":                     `day-of-week "#2": ` + week,
		"0 0 * * FRI#6":                  `day-of-week "FRI#6": the number after # is 1 to 5`,
		"0 0 * * FRI#0":                  `day-of-week "FRI#0": the number after # is 1 to 5`,
		"0 0 * * FRI#":                   `day-of-week "FRI#": the number after # is 1 to 5`,
		"0 0 * * FRI#11":                 `day-of-week "FRI#11": the number after # is 1 to 5`,
		"six * * * *":                    `minute "six": it is 0 to 59`,
		"-5 * * * *":                     `minute "-5": it is 0 to 59`,
		"+5 * * * *":                     `minute "+5": it is 0 to 59`,
		"5- * * * *":                     `minute "5-": it is 0 to 59`,
		"1-61 * * * *":                   `minute "1-61": it is 0 to 59`,
		"1-2-3 * * * *":                  `minute "1-2-3": it is 0 to 59`,
		"*5 * * * *":                     `minute "*5": it is 0 to 59`,
		"*-5 * * * *":                    `minute "*-5": it is 0 to 59`,
		"1,,2 * * * *":                   `minute "": it is 0 to 59`,
		", * * * *":                      `minute "": it is 0 to 59`,
		"1, * * * *":                     `minute "": it is 0 to 59`,
		"/5 * * * *":                     `minute "/5": it is 0 to 59`,
		"*/ * * * *":                     `minute "*/": the step is 1 to 59`,
		"*/0 * * * *":                    `minute "*/0": the step is 1 to 59`,
		"*/60 * * * *":                   `minute "*/60": the step is 1 to 59`,
		"*/-1 * * * *":                   `minute "*/-1": the step is 1 to 59`,
		"*/5/5 * * * *":                  `minute "*/5/5": the step is 1 to 59`,
		"* */24 * * *":                   `hour "*/24": the step is 1 to 23`,
		"0 0 * */12 *":                   `month "*/12": the step is 1 to 11`,
		"0 0 * * */7":                    `day-of-week "*/7": the step is 1 to 6`,
		"0 22-2 * * *":                   `hour "22-2": the range runs backwards: write 22-23,0-2`,
		"0 0 * NOV-FEB *":                `month "NOV-FEB": the range runs backwards: write NOV-12,1-FEB`,
		"0 0 * * FRI-MON":                `day-of-week "FRI-MON": the range runs backwards: write FRI-6,0-MON`,
		"9999999999999999999999 * * * *": "minute 9999999999999999999999: it is 0 to 59",
		"":                               "0 fields: " + count,
		"* * * *":                        "4 fields: " + count,
		"0 0 0 1 1 * 2026":               "7 fields: " + count,
		"TZ=Europe/Berlin":               "0 fields: " + count,
		"@reboot":                        `"@reboot": ` + names,
		"@daily 5":                       `"@daily 5": ` + names,
		"@":                              `"@": ` + names,
		"@every":                         `@every "": ` + every,
		"@every 7 days":                  `@every "7 days": ` + every,
		"@every 0s":                      `@every "0s": ` + every,
		"@every -5s":                     `@every "-5s": ` + every,
		"@every 999ms":                   `@every "999ms": ` + every,
		"@every 1.5s":                    `@every "1.5s": ` + every,
		"TZ=Asia/Tokyo @every 5m":        "an interval has no time zone: leave TZ out, or write the fields",
		"TZ= 0 9 * * *":                  `time zone "": it is a name like Europe/Berlin`,
		"TZ=Local 0 9 * * *":             `time zone "Local": it is a name like Europe/Berlin`,
		"TZ=Europe/Bonn 0 9 * * *":       `time zone "Europe/Bonn" ` + unzone,
		"TZ=../../etc/x 0 9 * * *":       `time zone "../../etc/x" ` + unzone,
		"0 0 31 2 *":                     `it is never due: no month of "2" has a day of "31"`,
		"0 0 30,31 FEB *":                `it is never due: no month of "FEB" has a day of "30,31"`,
		"0 0 31 4,6,9,11 *":              `it is never due: no month of "4,6,9,11" has a day of "31"`,
		"TZ=Asia/Tokyo 0 * 31 2 ?":       `it is never due: no month of "2" has a day of "31"`,
		"0 0 31 2 */2":                   `it is never due: no month of "2" has a day of "31"`,
	} {
		s, err := cron.Parse(spec)
		require.EqualError(t, err, `cron: "`+spec+`": `+want)
		require.Nil(t, s)
	}
}

// Whatever is quoted is cut and escaped: schedules come from anywhere, and errors go to logs and terminals.
func TestErrorsQuoteLittle(t *testing.T) {
	long := strings.Repeat("ж", 90)
	digits := strings.Repeat("9", 10_000)
	for _, spec := range []string{long, long + " * * * *", digits + " * * * *", "@" + long, "@every " + long, "TZ=" + long + " * * * * *", "0 0 31 " + strings.Repeat("2,", 10_000) + "2 *"} {
		_, err := cron.Parse(spec)
		require.Error(t, err)
		require.Less(t, len(err.Error()), 700, "%.60q", spec)
		require.NotContains(t, err.Error(), long)
	}
	_, err := cron.Parse("\x1b[2J * * * *")
	require.EqualError(t, err, `cron: "\x1b[2J * * * *": minute "\x1b[2J": it is 0 to 59`)
}
