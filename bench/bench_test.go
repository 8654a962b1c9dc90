package main

import (
	"fmt"
	"testing"
	"time"
)

// The benchmarks are the command's own measurements, one at a time: good for
// benchstat and for a profile of one contender, where the command is for ratios.
//
// There is no goleak here: some peers leave goroutines behind, and that is
// theirs to mend.

// TestContenders has every contender carry a few events in every cell. carry
// counts them; so `go test -race` also finds a contender that is used wrongly.
func TestContenders(t *testing.T) {
	for _, cl := range cells {
		for _, c := range contenders {
			if !c.fits(cl) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", cl, c.name), func(t *testing.T) {
				if _, err := carry(c, cl, 200); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestCountsAreChecked drops an event on purpose: a bus that loses one must not
// get a number.
func TestCountsAreChecked(t *testing.T) {
	lossy := contender{name: "lossy", open: func() bus { return &losing{newHandmade().(*handmade)} }}
	tr := newTraffic(lossy, cell{1, 2})
	if _, err := tr.send(10); err != nil {
		t.Fatal(err)
	}
	if err := tr.close(); err == nil {
		t.Error("close after a doubled event in place of another: got nil, want an error")
	}
}

// losing sends the first event once too often and the last one not at all.
type losing struct{ *handmade }

func (b *losing) sender(id uint64) func(uint64) {
	send := b.handmade.sender(id)
	return func(n uint64) { send(1); send(n - 1) }
}

func BenchmarkThroughput(b *testing.B) {
	for _, cl := range cells {
		for _, c := range contenders {
			if !c.fits(cl) {
				continue
			}
			b.Run(fmt.Sprintf("%s/%s", cl, c.name), func(b *testing.B) {
				b.ReportAllocs()
				tr := newTraffic(c, cl)
				n := uint64(max(b.N/cl.senders, 1))
				b.ResetTimer()
				_, err := tr.send(n)
				b.StopTimer()
				if err != nil {
					b.Fatal(err)
				}
				if err := tr.close(); err != nil {
					b.Error(err)
				}
			})
		}
	}
}

func BenchmarkIdle(b *testing.B) { benchmarkOps(b, idleOps) }

func BenchmarkLive(b *testing.B) { benchmarkOps(b, liveOps()) }

func benchmarkOps(b *testing.B, ops []op) {
	for _, o := range ops {
		b.Run(o.name, func(b *testing.B) {
			b.ReportAllocs()
			loop, end := o.open()
			if end != nil {
				defer end()
			}
			b.ResetTimer()
			loop(b.N)
			b.StopTimer()
		})
	}
}

// BenchmarkLatency reports percentiles; ns/op includes the pauses between sends.
func BenchmarkLatency(b *testing.B) {
	for _, c := range latencyContenders() {
		b.Run(c.name, func(b *testing.B) {
			r := &runner{samples: map[string][]float64{"": oneWay(c, b.N+1, time.Minute)}}
			b.ReportMetric(r.percentile("", 0.5), "p50-ns")
			b.ReportMetric(r.percentile("", 0.99), "p99-ns")
		})
	}
}

func BenchmarkIsolation(b *testing.B) {
	for i, path := range isolationPaths {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				ns, err := carry(isolationContender(i), isolationCell, 2000)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(ns, "ns/event")
			}
		})
	}
}

func BenchmarkMemory(b *testing.B) {
	b.Run("live channels", func(b *testing.B) {
		for b.Loop() {
			live, left, _ := bytesPerChannel(10_000)
			b.ReportMetric(live, "B/channel")
			b.ReportMetric(left, "B-left/channel")
		}
	})
	b.Run("passing names", func(b *testing.B) {
		for b.Loop() {
			b.ReportMetric(passingNames(10_000)/10_000, "B-left/name")
		}
	})
}

func BenchmarkChurn(b *testing.B) {
	for _, live := range []int{100, 10_000} {
		c := newCrowd(channelNames(live))
		loops := churner(c.server)
		for _, what := range []string{churnName, churnMailbox} {
			b.Run(fmt.Sprintf("%s, %d live names", what, live), func(b *testing.B) {
				b.ReportAllocs()
				loops[what](b.N)
			})
		}
		closer(c.server, c.boxes)()
	}
}
