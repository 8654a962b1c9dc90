package when

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// isTime tells times from delays by the year and the dash.
func isTime(text string) bool {
	year, _, ok := strings.Cut(text, "-")
	return ok && len(year) >= 4 && strings.Trim(year, "0123456789") == ""
}

// parseTime reads an RFC 3339 time.
func parseTime(text string) (time.Time, error) {
	upper := strings.ToUpper(text) // RFC 3339 allows "t" and "z", package time does not
	t, err := time.Parse(time.RFC3339, upper)
	t = t.UTC()
	year, _, _ := strings.Cut(text, "-")
	switch {
	case len(year) > 4, err == nil && (t.Year() < 1970 || t.Year() > 9999):
		return time.Time{}, errors.New("a time is in the years 1970 to 9999 in UTC")
	case err == nil:
		return t, nil
	}
	// The usual slips are turned into advice with the reader's own numbers.
	joined := strings.ReplaceAll(strings.Replace(upper, " ", "T", 1), " ", "")
	for _, end := range []string{"", "Z", ":00Z", "T00:00:00Z"} {
		if _, err := time.Parse(time.RFC3339, joined+end); err == nil {
			return time.Time{}, fmt.Errorf("a time has a date, a clock time and a time zone: write %.60q if that is meant", joined+end)
		}
	}
	if p, ok := errors.AsType[*time.ParseError](err); ok && strings.HasSuffix(p.Message, "out of range") {
		return time.Time{}, errors.New("not a time" + p.Message)
	}
	return time.Time{}, errors.New(`not a time: write it like "2026-12-24T18:00:00Z" or "2026-12-24T18:00:00+01:00"`)
}
