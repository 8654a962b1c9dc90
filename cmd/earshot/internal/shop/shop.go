package shop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/earshot-go/earshot"
)

// Options configure a [Shop].
type Options struct {
	Rate float64 // orders a second; each comes with about thirty other events. 0 means 2
	Seed uint64  // for the same customers again
}

// A Shop is a server's traffic. Its subscribers are there from New on.
type Shop struct {
	channels
	srv  *earshot.Server
	rate float64

	mu    sync.Mutex // guards the fields below
	rnd   *rand.Rand
	next  int64
	stock map[string]int
}

// New opens the shop, which does nothing until Run.
func New(s *earshot.Server, opts Options) (*Shop, error) {
	if opts.Rate == 0 {
		opts.Rate = 2
	}
	if opts.Rate < 0 || opts.Rate > 10_000 {
		return nil, fmt.Errorf("shop: %v orders a second: between 0 and 10000 is possible", opts.Rate)
	}
	sh := &Shop{
		channels: declare(s), srv: s, rate: opts.Rate,
		rnd: rand.New(rand.NewPCG(opts.Seed, 1)), next: 4710, stock: map[string]int{},
	}
	return sh, sh.hire()
}

// Run sells until ctx ends, and then waits for the customers who are in the shop.
func (sh *Shop) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	inside := make(chan struct{}, 1000) // customers; a shop that is full lets nobody in
	for sleep(ctx, sh.pause()) {
		select {
		case inside <- struct{}{}:
			wg.Go(func() {
				defer func() { <-inside }()
				sh.visit(ctx)
			})
		default:
		}
	}
}

// pause is the time until the next customer: they come when they like.
func (sh *Shop) pause() time.Duration {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	// Every third one buys something, see visit.
	return time.Duration(sh.rnd.ExpFloat64() / (3 * sh.rate) * float64(time.Second))
}

// pick returns a number below n.
func (sh *Shop) pick(n int) int {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.rnd.IntN(n)
}

// millis is a time between least and most milliseconds, mostly short.
func (sh *Shop) millis(least, most int) time.Duration {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	f := sh.rnd.Float64()
	return time.Duration((float64(least) + f*f*f*float64(most-least)) * float64(time.Millisecond))
}

func (sh *Shop) trace() string {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return fmt.Sprintf("%08x", sh.rnd.Uint32())
}

func (sh *Shop) number() int64 {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.next++
	return sh.next
}

var errEmpty = errors.New("sold out")

// take takes so many from the shelf. Overnight, that is, when there is nothing left, it is filled again.
func (sh *Shop) take(sku string, n int) error {
	sh.mu.Lock()
	left, known := sh.stock[sku]
	if !known {
		left = 200
	}
	err := error(nil)
	if left < n {
		left, err = 200, errEmpty
	} else {
		left -= n
	}
	sh.stock[sku] = left
	sh.mu.Unlock()
	sh.channels.stock.Send(Stock{sku, left})
	return err
}

// sleep reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
