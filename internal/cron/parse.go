package cron

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var named = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// Parse reads a schedule. Upper and lower case are the same, except in the zone. It refuses what could never be
// due, like the 31st of February. Errors say which field and which part of it is wrong, and what is allowed.
//
// The zone must be known on this machine or in the program, by import _ "time/tzdata".
func Parse(spec string) (*Schedule, error) {
	words := strings.Fields(spec)
	s := &Schedule{text: strings.Join(words, " "), zone: time.UTC}
	if err := s.parse(words); err != nil {
		return nil, fmt.Errorf("cron: %.80q: %w", s.text, err)
	}
	return s, nil
}

func (s *Schedule) parse(words []string) (err error) {
	var zoned bool
	if len(words) > 0 {
		var name string
		if name, zoned = strings.CutPrefix(strings.TrimPrefix(words[0], "CRON_"), "TZ="); zoned {
			if s.zone, err = loadZone(name); err != nil {
				return err
			}
			words = words[1:]
		}
	}
	if len(words) > 0 && strings.HasPrefix(words[0], "@") {
		if strings.EqualFold(words[0], "@every") {
			if zoned {
				return errors.New("an interval has no time zone: leave TZ out, or write the fields")
			}
			s.every, err = parseEvery(words[1:])
			return err
		}
		fields, ok := named[strings.ToLower(words[0])]
		if !ok || len(words) > 1 {
			return fmt.Errorf("%.40q: it is @yearly, @monthly, @weekly, @daily, @hourly or one like \"@every 90s\"", strings.Join(words, " "))
		}
		words = strings.Fields(fields)
	}
	if len(words) == numFields-1 {
		words = append([]string{"0"}, words...)
	}
	if len(words) != numFields {
		return fmt.Errorf("%d fields: it is 5 (minute hour day-of-month month day-of-week) or 6 (second first)", len(words))
	}
	return s.parseFields(words)
}

// loadZone refuses time.Local: processes on several machines would not agree on it.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("time zone %q: it is a name like Europe/Berlin", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %.40q is unknown here: it is a name like Europe/Berlin (if those are unknown too, import _ \"time/tzdata\" in the program)", name)
	}
	return zone, nil
}

func parseEvery(words []string) (seconds int64, err error) {
	text := strings.Join(words, " ")
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d%time.Second != 0 {
		return 0, fmt.Errorf("@every %.40q: it is a duration in whole seconds like 90s, 15m or 1h30m", text)
	}
	return int64(d / time.Second), nil
}

func (c *calendar) parseFields(words []string) error {
	for i, text := range words {
		for part := range strings.SplitSeq(text, ",") {
			if hint := c.addPart(i, part); hint != "" {
				if part == "" || strings.Trim(part, "0123456789") != "" {
					part = strconv.Quote(part)
				}
				return fmt.Errorf("%s %.40s: %s", fields[i].name, part, hint)
			}
		}
	}
	c.either = !strings.ContainsAny(words[day][:1], "*?") && !strings.ContainsAny(words[weekday][:1], "*?")
	if _, ok := c.dayFrom(firstTick); !ok {
		return fmt.Errorf("it is never due: no month of %.40q has a day of %.40q", words[month], words[day])
	}
	return nil
}
