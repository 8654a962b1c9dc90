package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestQueueCronNext(t *testing.T) {
	// The night in which Berlin leaves out 02:00 to 03:00.
	berlin := []string{"queue", "cron", "next", "30 2 * * *", "--tz", "Europe/Berlin", "-n", "2", "--from", "2026-03-28T01:30:00Z"}
	for _, args := range [][]string{berlin, {"queue", "cron", "next", "TZ=Europe/Berlin", "30", "2", "*", "*", "*", "-n", "2", "--from", "2026-03-28T01:30:00Z"}} {
		r := world{}.run(t, args...)
		assert.Equal(t, exitOK, r.code, r.err)
		assert.Empty(t, r.err)
		assert.Regexp(t, `^EUROPE/BERLIN +UTC +AWAY
Sun 2026-03-29 03:00:00 \+02:00  Sun 2026-03-29 01:00:00  \S.*
Mon 2026-03-30 02:30:00 \+02:00  Mon 2026-03-30 00:30:00  \S.*
$`, r.out)
	}
	says := decode[struct {
		Spec  string
		Ticks []struct {
			Local, UTC string
			In         float64 `json:"in_seconds"`
		}
	}](t, world{}.run(t, append(berlin, "--json")...))
	assert.Equal(t, "TZ=Europe/Berlin 30 2 * * *", says.Spec)
	require.Len(t, says.Ticks, 2)
	assert.Equal(t, "2026-03-29T03:00:00+02:00", says.Ticks[0].Local)
	assert.Equal(t, "2026-03-29T01:00:00Z", says.Ticks[0].UTC)
	assert.InDelta(t, time.Until(time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)).Seconds(), says.Ticks[0].In, 60)

	r := world{}.run(t, "queue", "cron", "next", "@every 1h", "-n", "3", "--from", "in 7 days")
	assert.Regexp(t, `^UTC +AWAY\n(\w{3} [0-9-]{10} \d\d:00:00  in (7d|7d1h|7d2h|7d3h)\n){3}$`, r.out)
	r = world{}.run(t, "queue", "cron", "next", "0 0 1 1 *", "--from", "9999-12-01T00:00:00Z")
	assert.Equal(t, result{exitOK, "", "[queue cron next] never: the time is close to the year 10000\n"}, r)
}
