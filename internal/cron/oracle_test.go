package cron_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/internal/cron"
	"github.com/stretchr/testify/require"
)

// Zones with the years in which something odd happens to their clocks.
var zones = map[string][]int{
	"UTC": {2028}, "Europe/Berlin": {1980, 2026, 2040}, "Europe/London": {1972}, "Europe/Dublin": {2026}, "Europe/Lisbon": {1992},
	"Europe/Moscow": {1981, 2010, 2011, 2014}, "Europe/Istanbul": {2016}, "Europe/Volgograd": {2018, 2020}, "Asia/Beirut": {2026},
	"Asia/Amman": {2022}, "Asia/Damascus": {2022}, "Asia/Gaza": {2026}, "Asia/Tehran": {1991, 2022}, "Asia/Kolkata": {2026},
	"Asia/Kathmandu": {1986}, "Asia/Tokyo": {2026}, "Asia/Pyongyang": {2015, 2018}, "Asia/Hong_Kong": {1979}, "Asia/Dhaka": {2009},
	"Australia/Lord_Howe": {1981, 1985, 2026}, "Australia/Sydney": {2008}, "Australia/Adelaide": {2026}, "Australia/Eucla": {2006},
	"Pacific/Apia": {2011, 2021}, "Pacific/Kwajalein": {1993}, "Pacific/Kiritimati": {1994}, "Pacific/Chatham": {2026},
	"Pacific/Norfolk": {2015}, "Pacific/Marquesas": {2026}, "America/Sao_Paulo": {2018}, "America/Caracas": {2007, 2016},
	"America/New_York": {1974, 2007, 2026}, "America/Los_Angeles": {2026}, "America/St_Johns": {1988, 2010}, "America/Havana": {2026},
	"America/Nuuk": {2023, 2024}, "America/Asuncion": {2024}, "America/Santiago": {2026}, "America/Scoresbysund": {2024},
	"America/Phoenix": {2026}, "Africa/Cairo": {2010, 2014, 2026}, "Africa/Casablanca": {2018, 2026}, "Africa/Monrovia": {1972},
	"Africa/Juba": {2021}, "Antarctica/Casey": {2020}, "Antarctica/Troll": {2026}, "Atlantic/Azores": {1992}, "Etc/GMT+12": {2026},
}

// Random schedules are compared with what comes out if somebody looks at the clock every minute, for some days
// around each change of the clocks. EARSHOT_CRON_YEARS makes that whole years, and so many random years per zone
// besides the odd ones.
func TestAgainstAWalkThroughTime(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	more, err := strconv.Atoi(cmp.Or(os.Getenv("EARSHOT_CRON_YEARS"), "0"))
	require.NoError(t, err, "EARSHOT_CRON_YEARS")
	for i, zone := range slices.Sorted(maps.Keys(zones)) {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		loc, err := time.LoadLocation(zone)
		require.NoError(t, err)
		step := int64(60)
		if zone == "Africa/Monrovia" {
			step = 30 // its minutes began half a minute later than elsewhere
		}
		years := zones[zone]
		for range more {
			years = append(years, 1973+r.IntN(130))
		}
		for _, year := range years {
			begin, end := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(year+1, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
			if more > 0 || zone == "UTC" {
				w := walk(loc, begin, end, step)
				for range 40 {
					w.compare(t, r, randomSpec(r, false))
				}
			}
			for _, change := range changes(loc, begin, end) {
				w := walk(loc, change-4*86400, change+3*86400, step)
				for range 8 {
					w.compare(t, r, randomSpec(r, false))
				}
				w = walk(loc, change-2*3600, change+3*3600, 1)
				for range 2 {
					w.compare(t, r, randomSpec(r, true))
				}
			}
		}
	}
}

// changes returns the times, to the minute, at which the clocks of a zone are changed.
func changes(loc *time.Location, begin, end int64) (changes []int64) {
	offset := func(u int64) int {
		_, offset := time.Unix(u, 0).In(loc).Zone()
		return offset
	}
	for u := begin; u < end; u += 86400 {
		for v := u; offset(u) != offset(u+86400) && v < u+86400; v += 60 {
			if offset(v) != offset(v+60) {
				changes = append(changes, v+60)
			}
		}
	}
	return changes
}

// A walked is what the clock of a zone showed every so many seconds.
type walked struct {
	loc   *time.Location
	step  int64
	begin int64   // of what is compared; the walk begins earlier, to know what was shown already
	times []int64 // Unix times
	shown []int64 // what the clock showed then, in seconds as if it were UTC
}

func walk(loc *time.Location, begin, end, step int64) *walked {
	w := &walked{loc: loc, step: step, begin: begin}
	for u := begin - min(2*86400, step*10_800); u < end; u += step {
		_, offset := time.Unix(u, 0).In(loc).Zone()
		w.times, w.shown = append(w.times, u), append(w.shown, u+int64(offset))
	}
	return w
}

// ticks returns the Unix times at which a spec is due, by the words of the package's documentation.
func (w *walked) ticks(spec *wanted) (ticks []int64) {
	add := func(u int64) {
		if u >= w.begin && (len(ticks) == 0 || ticks[len(ticks)-1] != u) {
			ticks = append(ticks, u)
		}
	}
	if !slices.Contains(spec.hour[:24], false) {
		for i, u := range w.times {
			if spec.match(w.shown[i]) {
				add(u)
			}
		}
		return ticks
	}
	firstShown := map[int64]int64{} // of those that match
	for i, wall := range w.shown {
		if _, ok := firstShown[wall]; !ok && spec.match(wall) {
			firstShown[wall] = w.times[i]
		}
		if i == 0 {
			continue
		}
		for out := w.shown[i-1] + w.step; out < wall; out += w.step {
			if _, ok := firstShown[out]; !ok && spec.match(out) {
				firstShown[out] = w.times[i]
			}
		}
	}
	all := make([]int64, 0, len(firstShown))
	for _, u := range firstShown {
		all = append(all, u)
	}
	slices.Sort(all)
	for _, u := range all {
		add(u)
	}
	return ticks
}

func (w *walked) compare(t *testing.T, r *rand.Rand, spec *wanted) {
	text := "TZ=" + w.loc.String() + " " + spec.text
	s, err := cron.Parse(text)
	require.NoError(t, err)
	want := w.ticks(spec)
	show := func(u int64) time.Time { return time.Unix(u, 0).In(w.loc) }
	end := w.times[len(w.times)-1]
	prev := w.begin - 1
	last := s.Last(show(prev)) // unknown to the walk
	for i, tick := range append(want, end+1) {
		// Of very many, some are enough; between two ticks, any moment has them as its neighbours.
		if len(want) < 300 || r.IntN(len(want)) < 300 || i == len(want) {
			between := time.Unix(prev+r.Int64N(tick-prev), r.Int64N(1e9))
			for _, from := range []time.Time{show(prev), between, time.Unix(tick, -1)} {
				next := s.Next(from)
				if next.Unix() != tick && (i < len(want) || next.Unix() < tick) {
					t.Fatalf("%q: Next(%s) = %s, want %s", text, from.In(w.loc), next, show(tick))
				}
				if l := s.Last(from); !l.Equal(last) && from.Unix() >= w.begin-1 {
					t.Fatalf("%q: Last(%s) = %s, want %s", text, from.In(w.loc), l, last)
				}
			}
		}
		prev, last = tick, show(tick)
	}
}

// A wanted is a random spec with its meaning, written down without the parser.
type wanted struct {
	text                                      string
	second, minute, hour, day, month, weekday [60]bool
	lastDay                                   bool
	nth                                       [7][6]bool // [weekday][0] is the last one
	anyDay, anyWeekday                        bool       // the field begins with "*" or "?"

	lastDate int64 // match has been asked about this day, with this answer
	dateOK   bool
}

func randomSpec(r *rand.Rand, seconds bool) *wanted {
	s := &wanted{lastDate: -1}
	minute := field(r, &s.minute, 0, 59, nil, 2)
	hour := field(r, &s.hour, 0, 23, nil, 3)
	day := field(r, &s.day, 1, 31, nil, 8)
	month := field(r, &s.month, 1, 12, strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec"), 9)
	weekday := field(r, &s.weekday, 0, 6, strings.Fields("SUN MON TUE WED THU FRI SAT"), 8)
	s.anyDay, s.anyWeekday = strings.ContainsAny(day[:1], "*?"), strings.ContainsAny(weekday[:1], "*?")
	if !s.anyDay && r.IntN(4) == 0 {
		day, s.lastDay = day+",L", true
	}
	if !s.anyWeekday && r.IntN(3) == 0 {
		wd, n := r.IntN(7), r.IntN(6)
		s.nth[wd][n] = true
		if n == 0 {
			weekday += fmt.Sprintf(",%dL", wd)
		} else {
			weekday += fmt.Sprintf(",%d#%d", wd, n)
		}
	}
	if r.IntN(2) == 0 { // most schedules are for some hours
		hour = field(r, &s.hour, 0, 23, nil, 1)
	}
	s.text = strings.Join([]string{minute, hour, day, month, weekday}, " ")
	s.second[0] = true
	if seconds {
		s.text = field(r, &s.second, 0, 59, nil, 3) + " " + s.text
	}
	if _, err := cron.Parse(s.text); err != nil && strings.Contains(err.Error(), "never due") {
		return randomSpec(r, seconds)
	}
	return s
}

// field returns a random field, a star in so many of ten cases, and sets what it allows.
func field(r *rand.Rand, set *[60]bool, lo, hi int, names []string, stars int) string {
	*set = [60]bool{}
	allow := func(from, to, step int) {
		for v := from; v <= to; v += step {
			set[v] = true
		}
	}
	name := func(v int) string {
		if names != nil && r.IntN(2) == 0 {
			return names[v-lo]
		}
		return strconv.Itoa(v)
	}
	if r.IntN(10) < stars {
		allow(lo, hi, 1)
		return string("*?"[r.IntN(2)])
	}
	if r.IntN(4) == 0 {
		step := 1 + r.IntN(hi-lo)
		allow(lo, hi, step)
		return fmt.Sprintf("*/%d", step)
	}
	var parts []string
	for range 1 + r.IntN(3) {
		from := lo + r.IntN(hi-lo+1)
		to := from + r.IntN(hi-from+1)
		step := 1 + r.IntN(hi-lo)
		switch r.IntN(5) {
		case 0:
			allow(from, to, 1)
			parts = append(parts, name(from)+"-"+name(to))
		case 1:
			allow(from, to, step)
			parts = append(parts, fmt.Sprintf("%s-%s/%d", name(from), name(to), step))
		case 2:
			allow(from, hi, step)
			parts = append(parts, fmt.Sprintf("%s/%d", name(from), step))
		default:
			allow(from, from, 1)
			parts = append(parts, name(from))
		}
	}
	return strings.Join(parts, ",")
}

func (s *wanted) match(wall int64) bool {
	clock := wall % 86400
	if !s.second[clock%60] || !s.minute[clock/60%60] || !s.hour[clock/3600] {
		return false
	}
	if date := wall - clock; date != s.lastDate {
		s.lastDate, s.dateOK = date, s.matchDate(time.Unix(date, 0).UTC())
	}
	return s.dateOK
}

func (s *wanted) matchDate(date time.Time) bool {
	wd, isLast := date.Weekday(), date.AddDate(0, 0, 1).Day() == 1
	day := s.day[date.Day()] || s.lastDay && isLast
	week := s.weekday[wd] || s.nth[wd][0] && date.AddDate(0, 0, 7).Month() != date.Month()
	for n := 1; n <= 5; n++ {
		sameMonth := date.AddDate(0, 0, -7*(n-1)).Month() == date.Month()
		week = week || s.nth[wd][n] && sameMonth && date.AddDate(0, 0, -7*n).Month() != date.Month()
	}
	if s.anyDay || s.anyWeekday {
		return s.month[date.Month()] && day && week
	}
	return s.month[date.Month()] && (day || week)
}
