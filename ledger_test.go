package earshot_test

import (
	"context"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
)

var (
	seedFlag       = flag.Uint64("earshot.seed", 0, "seed of the random tests; 0: EARSHOT_SEED, or a new one")
	deliveriesFlag = flag.Int("earshot.deliveries", 0, "deliveries in TestLedger; 0: as many as suit the mode")
	churnsFlag     = flag.Int("earshot.churns", 0, "subscriptions that begin and end in TestLedger; 0: one for each hundred deliveries")
	durationFlag   = flag.Duration("earshot.duration", 90*time.Second, "TestLedger stops after this, with what it has")
)

// testSeed returns the seed for a random test, and prints it: how to repeat the run, if it failed.
func testSeed(t testing.TB) uint64 {
	seed := *seedFlag
	if text := os.Getenv("EARSHOT_SEED"); seed == 0 && text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("EARSHOT_SEED=%q is not a number", text)
		}
		seed = n
	}
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	t.Cleanup(func() {
		if t.Failed() {
			race := map[bool]string{true: "-race "}[raceEnabled]
			t.Logf("to repeat: EARSHOT_SEED=%d go test %s-run '^%s$' -count=1 .", seed, race, t.Name())
		}
	})
	return seed
}

// TestLedger checks P1 to P5 on a run in which every subscription that can begin or end in some way
// does so, all the time and all at once: see ledger for what is checked, and how. It goes by rounds,
// each on a new server.
func TestLedger(t *testing.T) {
	seed := testSeed(t)
	deliveries := 10_000_000
	if raceEnabled {
		deliveries = 1_000_000
	}
	if testing.Short() {
		deliveries = 100_000
	}
	if *deliveriesFlag > 0 {
		deliveries = *deliveriesFlag
	}
	churns := deliveries / 100
	if *churnsFlag > 0 {
		churns = *churnsFlag
	}
	rounds := max(1, deliveries/200_000)
	var delivered, churned, sent int64
	start := time.Now()
	for n := range rounds {
		r := &ledgerRound{
			t: t, n: n, seed: seed,
			deliveries: int64(deliveries / rounds), churns: int64(churns / rounds),
		}
		r.run()
		sent += r.sent.Load()
		for _, b := range r.ledger.boxes {
			for _, sub := range b.subs {
				delivered += int64(len(sub.got))
			}
			churned += int64(len(b.subs))
		}
		if t.Failed() || time.Since(start) > *durationFlag {
			t.Logf("stopped after round %d of %d", n+1, rounds)
			break
		}
	}
	t.Logf("%d sends, %d deliveries, %d churns in %v", sent, delivered, churned, time.Since(start).Round(time.Millisecond))
}

// A ledgerEvent says where it comes from, and by its sum that it is whole.
type ledgerEvent struct {
	Sender, N, Channel uint32
	Start              int64
	Sum                uint64
}

// A ledgerStray is an event of a type that is not its channel's.
type ledgerStray ledgerEvent

func (e ledgerEvent) sum() uint64 {
	h := uint64(e.Sender)<<32 | uint64(e.N)
	h = (h ^ uint64(e.Channel)<<48 ^ 0x6C6F6767) * 0x9E3779B97F4A7C15
	return (h ^ h>>29 ^ uint64(e.Start)) * 0xBF58476D1CE4E5B9
}

// The channels of a round. The first three have a subscriber from its beginning to its end; the others
// open and close all the time.
var ledgerNames = []any{"led.block", "led.typed", "led.mixed", "led.float", "led.name", 42, "led.deep.x"}

const (
	ledgerBlock = 0 // its owner allows blocking
	ledgerMixed = 2 // events of two types
	ledgerInt   = 5 // not a string, so that no pattern matches it
)

var ledgerEpoch = time.Now()

func stamp() int64 { return int64(time.Since(ledgerEpoch)) }

const never = math.MaxInt64 - 1

type ledgerRound struct {
	t                  *testing.T
	n                  int
	seed               uint64
	deliveries, churns int64 // to reach

	s       *earshot.Server
	handles []*earshot.Channel[ledgerEvent] // by channel, nil if it is not declared
	ctx     context.Context                 // ends when the round hangs
	hang    func()                          // ends ctx, and says where everybody is
	lived   atomic.Bool                     // all that come and go have gone
	quiet   atomic.Bool                     // no more sends

	sent, delivered, churned atomic.Int64

	mu        sync.Mutex // guards the fields below
	ledger    ledger
	abandoned []func() // each waits for the end of one mailbox that was dropped
}

func (r *ledgerRound) rng(role, i int) *rand.Rand {
	return rand.New(rand.NewPCG(r.seed, uint64(r.n)<<32|uint64(role)<<16|uint64(i)))
}

func (r *ledgerRound) run() {
	t := r.t
	rng := r.rng(0, 0)
	ctx, cancel := context.WithCancel(context.Background())
	r.ctx, r.hang = ctx, sync.OnceFunc(func() {
		buf := make([]byte, 1<<20)
		t.Errorf("round %d hangs:\n%s", r.n, buf[:runtime.Stack(buf, true)])
		cancel()
	})
	r.s = earshot.NewServer(nil)
	timer := time.AfterFunc(time.Minute, r.hang)
	defer timer.Stop()
	defer cancel()
	defer context.AfterFunc(ctx, func() { r.s.Close() })()
	r.ledger.anchored = make([]bool, len(ledgerNames))
	for i, name := range ledgerNames {
		var c *earshot.Channel[ledgerEvent]
		if i != ledgerMixed && i != ledgerInt && name != "led.name" {
			c = earshot.NewChannel[ledgerEvent](r.s, name, &earshot.ChannelOptions{MayBlock: i == ledgerBlock})
		}
		r.handles = append(r.handles, c)
	}
	var anchors sync.WaitGroup
	for i := range 3 {
		r.ledger.anchored[i] = true
		r.anchor(&anchors, uint32(i), rng)
	}
	r.ledger.senders = make([][]ledgerSend, 2+rng.IntN(3))
	var senders, lives sync.WaitGroup
	for i := range r.ledger.senders {
		senders.Go(func() { r.ledger.senders[i] = r.sender(i, r.rng(1, i)) })
	}
	for i := range 12 {
		rng := r.rng(2, i)
		lives.Go(func() {
			for r.ctx.Err() == nil && (r.delivered.Load() < r.deliveries || r.churned.Load() < r.churns) {
				r.life(rng)
			}
		})
	}
	lives.Wait()
	r.lived.Store(true)
	for _, wait := range r.abandoned {
		wait()
	}
	r.quiet.Store(true)
	senders.Wait()
	if rng.IntN(2) == 0 { // the end at rest: the counters of who is still there, and the quiet of the rest
		if err := r.s.Sync(ctx); err != nil {
			t.Errorf("Sync = %v", err)
		}
		r.checkRest()
		if err := r.s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown = %v", err)
		}
	} else {
		r.s.Close()
		r.s.Shutdown(ctx)
	}
	anchors.Wait()
	if faults := r.ledger.check(); len(faults) > 0 {
		for _, f := range faults {
			t.Errorf("round %d: %s", r.n, f)
		}
	}
}

// checkRest compares the counters of the subscriptions that are left with their records, when
// everything has been received, and sees that the channels without one are gone.
func (r *ledgerRound) checkRest() {
	left := 0
	for st := range r.s.Subscriptions() {
		left++
		if st.Offered != st.Received+st.Missed+st.Discarded+uint64(st.Depth) || st.Depth != 0 || st.Missed+st.Discarded != 0 {
			r.t.Errorf("P2: round %d at rest: %+v", r.n, st)
		}
	}
	if left != 3 {
		r.t.Errorf("P9: round %d: %d subscriptions left, want 3", r.n, left)
	}
	for i, name := range ledgerNames {
		if got, want := r.s.Listening(name), r.ledger.anchored[i]; got != want {
			r.t.Errorf("P9: round %d: Listening(%v) = %v, want %v", r.n, name, got, want)
		}
	}
}

// sender sends bursts to one channel after the other, in every way there is.
func (r *ledgerRound) sender(id int, rng *rand.Rand) []ledgerSend {
	sends := make([]ledgerSend, 0, 1<<15)
	for !r.quiet.Load() {
		ch := uint32(rng.IntN(len(ledgerNames)))
		stray := ch == ledgerMixed && rng.IntN(3) == 0
		way := rng.IntN(4)
		burst := 1 + rng.IntN(32)
		if r.sent.Add(int64(burst)) > 10*r.deliveries+1_000_000 {
			if !r.lived.Load() {
				r.hang() // somebody waits for more than will ever come
			}
			return sends
		}
		for range burst {
			n := len(sends)
			sends = append(sends, ledgerSend{start: stamp(), channel: ch, stray: stray})
			e := ledgerEvent{Sender: uint32(id), N: uint32(n), Channel: ch, Start: sends[n].start}
			e.Sum = e.sum()
			c := r.handles[ch]
			switch {
			case stray:
				earshot.SendEvent(r.s, ledgerNames[ch].(string), ledgerStray(e))
			case ch == ledgerInt:
				earshot.SendEvent(r.s, ledgerNames[ch].(int), e)
			case c == nil || way == 0:
				earshot.SendEvent(r.s, ledgerNames[ch].(string), e)
			case way == 1:
				c.SendFunc(func() ledgerEvent { return e })
			case way == 2:
				if err := c.SendContext(r.ctx, e); err != nil {
					r.t.Errorf("SendContext = %v", err)
				}
			default:
				c.Send(e)
			}
			sends[n].end = stamp()
		}
		for i := 0; i == 0 || i < 50 && r.sent.Load() > r.delivered.Load()+500; i++ {
			runtime.Gosched() // the others have more to do
		}
	}
	return sends
}
