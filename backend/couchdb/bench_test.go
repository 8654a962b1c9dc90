package couchdb_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/couchdb"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

func benchEvents(n int) []event.Event {
	evs := make([]event.Event, n)
	for i := range evs {
		evs[i] = event.Event{
			ID: event.NewID(), Source: "/bench", Type: "order.paid", Subject: "order/7", Time: time.Now(),
			Data: []byte(`{"order":7,"total":1995,"currency":"EUR","items":[{"sku":"a-1","n":2},{"sku":"b-2","n":1}]}`),
		}
	}
	return evs
}

// bareBulk stores documents that are ready to be sent.
func bareBulk(b *testing.B, url string, body []byte) {
	r, err := http.Post(url+"/_bulk_docs", "application/json", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != http.StatusCreated {
		b.Fatal(r.Status, err)
	}
}

// duel runs two ways of doing the same in turn, so that what else the machine does hits both, and returns the times of
// each, sorted.
func duel(b *testing.B, prepare, ours, bare func()) (a, z []time.Duration) {
	timed := func(f func()) time.Duration {
		begun := time.Now()
		f()
		return time.Since(begun)
	}
	for i := 0; b.Loop(); i++ {
		prepare()
		if i%2 == 0 {
			a = append(a, timed(ours))
			z = append(z, timed(bare))
		} else {
			z = append(z, timed(bare))
			a = append(a, timed(ours))
		}
	}
	slices.Sort(a)
	slices.Sort(z)
	return a, z
}

func median(sorted []time.Duration) float64 { return sorted[len(sorted)/2].Seconds() }

// BenchmarkPublish compares with the same documents over a bare http.Client, which gets them ready made. Both store to a
// database of their own. The ratio is that of the medians: 1 is as many events a second as without the bus.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			mine, other := newDatabase(b), newDatabase(b)
			c := mine.open(b)
			require.NoError(b, c.Publish(b.Context()))
			must(b, other.server, "PUT", other.path, nil)
			var evs []event.Event
			var body []byte
			prepare := func() {
				evs = benchEvents(n)
				body = []byte(`{"docs":[`)
				for i, ev := range evs {
					if i > 0 {
						body = append(body, ',')
					}
					body, _, _ = couchdb.AppendDoc(body, ev)
				}
				body = append(body, "]}"...)
			}
			url := "http://" + other.server.Host + other.path
			ours, bare := duel(b, prepare, func() {
				if err := c.Publish(b.Context(), evs...); err != nil {
					b.Fatal(err)
				}
			}, func() { bareBulk(b, url, body) })
			b.ReportMetric(float64(n)/median(ours), "events/s")
			b.ReportMetric(float64(n)/median(bare), "bare-events/s")
			b.ReportMetric(median(bare)/median(ours), "ratio")
		})
	}
}

// BenchmarkLatency is from the beginning of Publish to the event in a feed, and the same with bare requests. The ratio
// is that of the medians: 1 is as fast as without the bus.
func BenchmarkLatency(b *testing.B) {
	mine, other := newDatabase(b), newDatabase(b)
	c := mine.open(b)
	f, err := c.Tail(b.Context(), bus.Tail{})
	require.NoError(b, err)
	url := "http://" + other.server.Host + other.path
	must(b, other.server, "PUT", other.path, nil)
	alone := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	feed, err := alone.Get(url + "/_changes?feed=continuous&include_docs=true&heartbeat=1000&since=0")
	require.NoError(b, err)
	defer feed.Body.Close()
	lines := bufio.NewScanner(feed.Body)
	ours, bare := duel(b, func() {}, func() {
		if err := c.Publish(b.Context(), benchEvents(1)...); err != nil {
			b.Fatal(err)
		}
		if _, err := f.Next(b.Context()); err != nil {
			b.Fatal(err)
		}
	}, func() {
		body, _, _ := couchdb.AppendDoc([]byte(`{"docs":[`), benchEvents(1)[0])
		bareBulk(b, url, append(body, "]}"...))
		for lines.Scan() && len(lines.Bytes()) == 0 {
		}
	})
	b.ReportMetric(median(ours)*1e6, "p50-µs")
	b.ReportMetric(median(bare)*1e6, "bare-p50-µs")
	b.ReportMetric(ours[len(ours)*99/100].Seconds()*1e6, "p99-µs")
	b.ReportMetric(bare[len(bare)*99/100].Seconds()*1e6, "bare-p99-µs")
	b.ReportMetric(median(ours)/median(bare), "ratio")
}

// BenchmarkBacklog reads what is there.
func BenchmarkBacklog(b *testing.B) {
	const n = 10_000
	d := newDatabase(b)
	c := d.open(b)
	require.NoError(b, c.Publish(b.Context(), benchEvents(n)...))
	for _, past := range []bool{false, true} {
		b.Run(fmt.Sprintf("past=%v", past), func(b *testing.B) {
			for b.Loop() {
				f, err := c.Tail(b.Context(), bus.Tail{From: bus.Start, Past: past})
				require.NoError(b, err)
				for range n {
					if _, err := f.Next(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				f.Close()
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
