package cron_test

import (
	"testing"
	"time"

	"github.com/earshot-go/earshot/internal/cron"
	"github.com/stretchr/testify/require"
)

func FuzzParse(f *testing.F) {
	for _, spec := range []string{"*/15 9-17 * * MON-FRI", "TZ=Europe/Berlin 30 2 L,13 jan 5#2,FRIL", "* * * * * *", "@daily", "@every 90s", "CRON_TZ=Pacific/Apia 0 0 30 12 ?", "0 * 29 2 SUN#5", "0 0 31 2 *", "1-", "#", "\xff"} {
		f.Add(spec, int64(1_792_886_400), int64(1))
	}
	f.Fuzz(func(t *testing.T, spec string, sec, nsec int64) {
		s, err := cron.Parse(spec)
		if err != nil {
			require.Nil(t, s)
			require.Less(t, len(err.Error()), 1000)
			return
		}
		again, err := cron.Parse(s.String())
		require.NoError(t, err)
		require.Equal(t, s.String(), again.String())
		for _, from := range []time.Time{time.Unix(sec, nsec), time.Unix(int64(uint64(sec)%300_000_000_000), nsec%1e9)} {
			next, last := s.Next(from), s.Last(from)
			if !next.IsZero() {
				require.True(t, next.After(from), "%q: Next(%s) = %s", spec, from, next)
				require.Equal(t, next, s.Last(next), "%q: Last(Next(%s))", spec, from)
				require.Equal(t, last, s.Last(next.Add(-1)), "%q: Last before Next(%s)", spec, from)
				require.Equal(t, next, again.Next(from))
			}
			if !last.IsZero() {
				require.False(t, last.After(from), "%q: Last(%s) = %s", spec, from, last)
				require.Equal(t, next, s.Next(last), "%q: Next(Last(%s))", spec, from)
			}
		}
	})
}

// What comes once in decades is found by looking at months, not at minutes.
func TestRareSchedulesAreFoundQuickly(t *testing.T) {
	start := time.Now()
	for _, spec := range []string{"TZ=Europe/Berlin 0 * * 2 SUN#5", "TZ=Europe/Berlin 59 59 23 ? 2 SUN#5", "TZ=Europe/Berlin 0 0 29 2 ?"} {
		s := parse(t, spec)
		tick := s.Next(time.Time{})
		for range 200 {
			require.False(t, tick.IsZero())
			require.Equal(t, tick, s.Last(tick))
			last := s.Last(tick.AddDate(0, 0, -2)) // none before the first
			require.True(t, last.IsZero() || last.Before(tick.AddDate(-3, 0, 0)), "%s: Last before %s = %s", spec, tick, last)
			tick = s.Next(tick.AddDate(0, 0, 2))
		}
	}
	require.Less(t, time.Since(start), 10*time.Second, "some milliseconds are usual")
}

func BenchmarkNext(b *testing.B) {
	for _, spec := range []string{"*/15 * * * *", "TZ=Europe/Berlin */15 * * * *", "TZ=Europe/Berlin 0 9 * * MON-FRI", "0 0 29 2 *", "TZ=Europe/Berlin 0 * * 2 SUN#5"} {
		b.Run(spec, func(b *testing.B) {
			s := parse(b, spec)
			tick := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			b.ReportAllocs()
			for b.Loop() {
				if s.Next(tick).IsZero() {
					b.Fatal("no tick")
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, spec := range []string{"*/15 9-17 * * MON-FRI", "TZ=Europe/Berlin 0 9 * * *", "0 0 31 2 *"} {
		b.Run(spec, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = cron.Parse(spec)
			}
		})
	}
}
