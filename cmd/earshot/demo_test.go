package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The demo has traffic, is looked at by every command, and ends without leaving anything behind.
func TestDemo(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	var notes bytes.Buffer
	a := &app{out: w, err: &notes, now: time.Now, env: func(string) string { return "" }}
	done := make(chan int)
	go func() { done <- a.run(ctx, []string{"demo", "--listen", "127.0.0.1:0", "--rate", "200", "--json"}) }()
	var says struct {
		URL string
		Pid int
	}
	line, err := bufio.NewReader(r).ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(line, &says))
	assert.Equal(t, os.Getpid(), says.Pid)

	demo := world{url: says.URL}
	tapped := demo.run(t, "tap", "chan:orders.paid amount>0", "--count", "3")
	assert.Equal(t, exitOK, tapped.code, tapped.err)
	assert.Equal(t, 3, strings.Count(tapped.out, "orders.paid #"))
	cards := demo.run(t, "tap", "chan:payments.*", "--count", "5")
	assert.Contains(t, cards.out, `"card":"[secret]"`)
	assert.NotContains(t, cards.out, "4111")
	for _, args := range [][]string{{}, {"ls"}, {"ls", "subscribers"}, {"slow"}, {"show", "orders.paid"}, {"top", "-o", "-"}} {
		assert.Equal(t, exitOK, demo.run(t, args...).code, args)
	}
	port := strings.TrimPrefix(says.URL[:strings.Index(says.URL, "/debug")], "http://")
	taken := demo.run(t, "demo", "--listen", port)
	assert.Equal(t, exitFailed, taken.code)
	assert.Contains(t, taken.err, port+" is taken")

	// A viewer must not keep it from ending.
	viewer := make(chan result)
	go func() { viewer <- demo.run(t, "tap") }()
	require.Eventually(t, func() bool { return strings.Contains(demo.run(t, "--json").out, `"viewers":1`) }, patience, 10*time.Millisecond)
	cancel(interrupted{sigint})
	select {
	case code := <-done:
		assert.Equal(t, exitOK, code, notes.String())
	case <-time.After(patience):
		t.Fatal("the demo does not end")
	}
	assert.Contains(t, (<-viewer).err, "[tap] the server ended the stream")
	assert.Equal(t, "[demo] stopping\n", notes.String())
}

func TestBench(t *testing.T) {
	r := world{}.run(t, "bench", "--rounds", "1", "--json")
	require.Equal(t, exitOK, r.code, r.err)
	var says struct {
		Results []struct{ Ns, Ratio, Goal float64 }
	}
	require.NoError(t, json.Unmarshal([]byte(r.out), &says))
	require.Len(t, says.Results, len(contests))
	for _, f := range says.Results {
		assert.Positive(t, f.Ns)
		assert.Positive(t, f.Ratio)
		assert.Positive(t, f.Goal)
	}
	r = world{ctx: canceled()}.run(t, "bench", "--rounds", "1000")
	assert.Equal(t, exitInterrupted, r.code, "it can be interrupted")
}

func canceled() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(interrupted{sigint})
	return ctx
}

func TestHumanBench(t *testing.T) {
	a := &app{out: new(bytes.Buffer), err: new(bytes.Buffer), now: time.Now}
	require.NoError(t, a.bench(t.Context(), 1, time.Millisecond))
	rows := strings.Split(strings.TrimSpace(a.out.(*bytes.Buffer).String()), "\n")
	require.Len(t, rows, len(contests)+1)
	for i, c := range contests {
		assert.Contains(t, rows[i+1], c.what)
		assert.Contains(t, rows[i+1], strconv.FormatFloat(c.goal, 'g', -1, 64))
	}
}
