package when_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/internal/when"
	"github.com/stretchr/testify/require"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

func TestDelays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"now": 0, "NOW": 0, " now\n": 0, "0": 0, "0s": 0, "in 0 minutes": 0, "0 weeks": 0,

		// words
		"7 days": 7 * day, "7 DAYS": 7 * day, "7days": 7 * day, "7d": 7 * day, "7 d": 7 * day, "07 days": 7 * day,
		"in 90 minutes": 90 * time.Minute, "In 90 Minutes": 90 * time.Minute, "in\t90  minutes": 90 * time.Minute,
		"1 week 2 days": 9 * day, "1 week, 2 days": 9 * day, "1 week and 2 days": 9 * day, "1 week, and 2 days": 9 * day,
		"1 week,2 days AND 3 hours": 9*day + 3*time.Hour, "1week2days": 9 * day, "2 days 1 week": 9 * day,
		"1 day 1 day": 2 * day, "2 h 30 m": 150 * time.Minute, "2H30M": 150 * time.Minute, "30m and 2h": 150 * time.Minute,
		"1.5 hours": 90 * time.Minute, "1.5 days": 36 * time.Hour, ".5 days": 12 * time.Hour, "0.5 w": 84 * time.Hour,
		"an hour": time.Hour, "in an hour": time.Hour, "a week and a day": 8 * day, "A Day": day,
		"1 second": time.Second, "2 seconds": 2 * time.Second, "2 sec": 2 * time.Second, "2 secs": 2 * time.Second, "2 s": 2 * time.Second,
		"1 minute": time.Minute, "2 min": 2 * time.Minute, "2 mins": 2 * time.Minute, "2 m": 2 * time.Minute,
		"1 hour": time.Hour, "2 hr": 2 * time.Hour, "2 hrs": 2 * time.Hour, "2 h": 2 * time.Hour,
		"1 day": day, "1 w": week, "2 weeks": 2 * week,
		"250 ms": 250 * time.Millisecond, "1 millisecond": time.Millisecond, "3 milliseconds": 3 * time.Millisecond,
		"5 µs": 5 * time.Microsecond, "5 μs": 5 * time.Microsecond, "5 us": 5 * time.Microsecond, "1 microsecond": time.Microsecond,
		"6 microseconds": 6 * time.Microsecond, "7 ns": 7, "1 nanosecond": 1, "7 nanoseconds": 7,

		// what Go reads
		"2h30m": 150 * time.Minute, "1.5h": 90 * time.Minute, ".5h": 30 * time.Minute, "+5s": 5 * time.Second,
		"300ms": 300 * time.Millisecond, "1h0m0.000000001s": time.Hour + 1,

		// ISO 8601
		"P7D": 7 * day, "p7d": 7 * day, "P1W": week, "PT90M": 90 * time.Minute, "P1DT12H": 36 * time.Hour,
		"P1W2DT3H4M5S": 9*day + 3*time.Hour + 4*time.Minute + 5*time.Second, "+P7D": 7 * day, "P0D": 0, "PT0S": 0,
		"PT1.5H": 90 * time.Minute, "PT1,5H": 90 * time.Minute, "P0.5D": 12 * time.Hour, "PT1H0.25S": time.Hour + 250*time.Millisecond,

		// the longest
		"9223372036854775807ns": math.MaxInt64, "106751 days": 106751 * day, "P15250W": 15250 * week, "292.4 weeks": 2046*day + 19*time.Hour + 12*time.Minute,
	} {
		m, err := when.Parse(text)
		require.NoError(t, err, "Parse(%q)", text)
		require.Equal(t, when.Moment{Delay: want}, m, "Parse(%q)", text)
	}
}

func TestTimes(t *testing.T) {
	for text, want := range map[string]string{
		"2026-12-24T18:00:00Z":                "2026-12-24T18:00:00Z",
		" 2026-12-24t18:00:00z ":              "2026-12-24T18:00:00Z",
		"2026-12-24T18:00:00.123456789+01:00": "2026-12-24T17:00:00.123456789Z",
		"2026-12-24T18:00:00-09:30":           "2026-12-25T03:30:00Z",
		"1970-01-01T00:00:00Z":                "1970-01-01T00:00:00Z",
		"1969-12-31T23:00:00-01:00":           "1970-01-01T00:00:00Z",
		"9999-12-31T23:59:59.999999999Z":      "9999-12-31T23:59:59.999999999Z",
		"2028-02-29T00:00:00Z":                "2028-02-29T00:00:00Z",
	} {
		m, err := when.Parse(text)
		require.NoError(t, err, "Parse(%q)", text)
		require.Equal(t, want, m.At.Format(time.RFC3339Nano), "Parse(%q)", text)
		require.Equal(t, time.UTC, m.At.Location(), "Parse(%q)", text)
		require.Zero(t, m.Delay, "Parse(%q)", text)
	}
}

const examples = `write it like "7 days", "in 90 minutes", "2h30m", "P7D" or "2026-12-24T18:00:00Z"`

func TestErrors(t *testing.T) {
	const (
		negative = `a delay cannot be negative: for the past give a time, like "2026-12-24T18:00:00Z"`
		tooLong  = `a delay is at most 292 years: for later give a time, like "2400-01-01T00:00:00Z"`
		months   = "months and years have no fixed length: give days, weeks or a time"
		years    = "a time is in the years 1970 to 9999 in UTC"
		order    = `the parts are weeks W, days D, then T, hours H, minutes M, seconds S, as in "P1W2DT12H30M5S"`
		units    = "it is second, minute, hour, day or week"
		needs    = "a time has a date, a clock time and a time zone: write "
	)
	for text, want := range map[string]string{
		"":                           "empty: " + examples,
		" \t":                        "empty: " + examples,
		"tomorrow":                   `a number and a unit are missing at "tomorrow": ` + examples,
		"in":                         `a number and a unit are missing at "": ` + examples,
		"in now":                     `a number and a unit are missing at "now": ` + examples,
		"7 days whatever":            `a number and a unit are missing at "whatever": ` + examples,
		"1 day,, 2 hours":            `a number and a unit are missing at ", 2 hours": ` + examples,
		"1 day or 2":                 `a number and a unit are missing at "or 2": ` + examples,
		"1 day;":                     `a number and a unit are missing at ";": ` + examples,
		"1 day,":                     `nothing comes after ",": ` + examples,
		"1 day, and ":                `nothing comes after ", and": ` + examples,
		"1 day and":                  `nothing comes after "and": ` + examples,
		"90":                         `a unit is missing after "90": ` + units,
		"an":                         `a unit is missing after "an": ` + units,
		"1,5 hours":                  `a unit is missing after "1": ` + units,
		"1 week 2 dayz":              `"dayz" is not a unit: ` + units,
		"a while":                    `"while" is not a unit: ` + units,
		"1.2.3 days":                 `"1.2.3" is not a number: ` + examples,
		". days":                     `"." is not a number: ` + examples,
		"-5 minutes":                 negative,
		"in −5 minutes":              negative,
		"1 day -2 hours":             negative,
		"-2h":                        negative,
		"5 minutes ago":              negative,
		"-P7D":                       negative,
		"P-7D":                       negative,
		"1 month":                    months,
		"in 2 Years":                 months,
		"1y":                         months,
		"P1Y":                        months,
		"P1M":                        months,
		"P1Y2M3DT4H":                 months,
		"106752 days":                tooLong,
		"15251 weeks":                tooLong,
		"106751 days 24 h":           tooLong,
		"2562048h":                   tooLong,
		"99999999999999 s":           tooLong,
		"1e9s":                       `"e" is not a unit: ` + units,
		"P106752D":                   tooLong,
		"PT9999999999999H":           tooLong,
		"PT":                         `a number with its letter is missing at "": ` + order,
		"P1DT":                       `a number with its letter is missing at "": ` + order,
		"P7":                         `a number with its letter is missing at "7": ` + order,
		"PTH":                        `a number with its letter is missing at "H": ` + order,
		"P7H":                        `"7H" is out of place: ` + order,
		"PT7D":                       `"7D" is out of place: ` + order,
		"P1D1W":                      `"1W" is out of place: ` + order,
		"PT1S1H":                     `"1H" is out of place: ` + order,
		"P1D1D":                      `"1D" is out of place: ` + order,
		"P1.5DT1H":                   "only the last part may have a fraction",
		"PT1.5H1M":                   "only the last part may have a fraction",
		"P1.5.5D":                    `"1.5.5" is not a number: ` + examples,
		"2026-12-24":                 needs + `"2026-12-24T00:00:00Z" if that is meant`,
		"2026-12-24T18:00":           needs + `"2026-12-24T18:00:00Z" if that is meant`,
		"2026-12-24T18:00:00":        needs + `"2026-12-24T18:00:00Z" if that is meant`,
		"2026-12-24 18:00:00":        needs + `"2026-12-24T18:00:00Z" if that is meant`,
		"2026-12-24 18:00:00 +01:00": needs + `"2026-12-24T18:00:00+01:00" if that is meant`,
		"2026-02-30T18:00:00Z":       "not a time: day out of range",
		"2026-12-24T24:00:00Z":       "not a time: hour out of range",
		"2026-12-24T18:00:00Z!":      `not a time: write it like "2026-12-24T18:00:00Z" or "2026-12-24T18:00:00+01:00"`,
		"2026-12-24T18:00:0Z":        `not a time: write it like "2026-12-24T18:00:00Z" or "2026-12-24T18:00:00+01:00"`,
		"2026-12-24T18:00:00+0100":   `not a time: write it like "2026-12-24T18:00:00Z" or "2026-12-24T18:00:00+01:00"`,
		"0001-01-01T00:00:00Z":       years,
		"1969-12-31T23:59:59Z":       years,
		"1970-01-01T00:00:00+00:01":  years,
		"9999-12-31T23:59:59-01:00":  years,
		"10000-01-01T00:00:00Z":      years,
	} {
		m, err := when.Parse(text)
		require.EqualError(t, err, `when "`+strings.TrimSpace(text)+`": `+want, "Parse(%q)", text)
		require.Zero(t, m, "Parse(%q)", text)
	}
}

// Whatever is quoted is cut and escaped: texts come from anywhere, and errors go to logs and terminals.
func TestErrorsQuoteLittle(t *testing.T) {
	long := strings.Repeat("ж", 41)
	for _, text := range []string{long, "1 " + long, "5" + strings.Repeat(".", 10_000), "P1" + long, "2026-" + long, "1 day" + strings.Repeat(",", 10_000),
		"2026-12-24T18:00:00Z" + long, "2026-12-24 18:00:00." + strings.Repeat("0", 10_000) + "Z"} {
		_, err := when.Parse(text)
		require.Error(t, err)
		require.Less(t, len(err.Error()), 500, "%.60q", text)
		require.NotContains(t, err.Error(), long)
	}
	_, err := when.Parse("\x1b[2J")
	require.EqualError(t, err, `when "\x1b[2J": a number and a unit are missing at "\x1b[2J": `+examples)
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"7 days", "in 90 minutes", "1 week, 2 days and an hour", "2h30m", "P1W2DT3H4M5.5S", "-P1D", "2026-12-24T18:00:00Z", "2026-12-24 18:00", "1.5.5 h", "now", "\xff", "−5 m"} {
		f.Add(text, int64(len(text))*1_234_567_891)
	}
	f.Fuzz(func(t *testing.T, text string, n int64) {
		m, err := when.Parse(text)
		switch {
		case err != nil:
			require.Zero(t, m)
			require.Less(t, len(err.Error()), 1000)
		case m.At.IsZero():
			require.GreaterOrEqual(t, m.Delay, time.Duration(0))
		default:
			require.Zero(t, m.Delay)
			require.True(t, m.At.Year() >= 1970 && m.At.Year() <= 9999, m.At)
		}
		// Go's durations are read as Go reads them.
		if d, goErr := time.ParseDuration(text); goErr == nil {
			require.Equal(t, d >= 0, err == nil, "%q: %v", text, err)
			if d >= 0 {
				require.Equal(t, d, m.Delay)
			}
		}
		// What was written by a program is read back.
		d := time.Duration(n &^ math.MinInt64)
		again, err := when.Parse("in " + d.String())
		require.NoError(t, err)
		require.Equal(t, when.Moment{Delay: d}, again)
		at := time.Unix(int64(uint64(n)%253402300800), int64(uint64(n)%1e9)).UTC()
		again, err = when.Parse(at.Format(time.RFC3339Nano))
		require.NoError(t, err)
		require.Equal(t, when.Moment{At: at}, again)
	})
}
