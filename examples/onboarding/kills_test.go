package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/internal/loopback"
	"github.com/earshot-go/earshot/internal/program"
	"github.com/earshot-go/earshot/queue"
)

// kills is how often a process is killed: EARSHOT_KILLS, or few.
func kills(t testing.TB, few int) int {
	text := os.Getenv("EARSHOT_KILLS")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "EARSHOT_KILLS")
	return n
}

// Users come while the processes that take them, and write to them, are killed and started again. Who was told 201
// has both mails in the end, a week apart; nobody else has one; and who has one twice can tell by its ID.
func TestKills(t *testing.T) {
	t.Parallel()
	onShared(t, func(t *testing.T, at place) {
		n := kills(t, 3)
		if at.name == "sqlite" {
			n = kills(t, 10)
		}
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d, %d kills", seed, n)
		rng := rand.New(rand.NewPCG(seed, 1))

		box := newMailbox(t)
		port, err := loopback.Port()
		require.NoError(t, err)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		roles := []string{"web", "team", "team"}
		launch := func(role string) *program.Program {
			return program.Start(t, at.flags(role, "-listen", address, "-mail", string(box))...)
		}
		var running []*program.Program
		for _, role := range roles {
			running = append(running, launch(role))
		}
		running[0].Site(t)

		users := post(t, address)
		times := watch(t, box)
		died := map[string]int{}
		for range n {
			pause(time.Duration(100+rng.IntN(300)) * time.Millisecond)
			i := rng.IntN(len(roles))
			running[i].Kill()
			died[roles[i]]++
			pause(time.Duration(rng.IntN(100)) * time.Millisecond)
			running[i] = launch(roles[i])
		}
		running[0].Site(t)
		pause(100 * time.Millisecond)
		added, asked := users()
		box.has(t, welcome, added)
		box.has(t, followUp, added)
		seen := times()
		quiet(t, at)
		for _, p := range running {
			require.Zero(t, p.Stop(t))
		}

		ids := map[string]string{}
		twice := 0
		for _, m := range box.mails(t) {
			require.Contains(t, asked, m.to, "nobody has added who has a mail: %v", m)
			if id, again := ids[m.to+m.text]; again {
				require.Equal(t, id, m.id, "the mail is sent again under another ID: %v", m)
				twice++
			}
			ids[m.to+m.text] = m.id
		}
		for _, name := range added {
			first, second := seen[fmt.Sprintf(welcome, name)], seen[fmt.Sprintf(followUp, name)]
			require.GreaterOrEqual(t, second.now.Sub(first.notYet), time.Second, "%s was asked before the week was over", name)
		}
		t.Logf("killed: %v; %d users asked, %d were told 201, %d mails came twice", died, len(asked), len(added), twice)
		require.NotEmpty(t, added)
	})
}

// post adds users, one after the other, until it is asked who was told 201, and who has asked.
func post(t *testing.T, address string) func() (added []string, asked map[string]bool) {
	site := program.NewSite(t, "http://"+address)
	stop, asked, added := make(chan struct{}), map[string]bool{}, []string(nil)
	var posting sync.WaitGroup
	posting.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			name := fmt.Sprintf("user%04d", i)
			asked[name] = true
			if status, _, _ := site.Try(http.MethodPost, "/users/"+name); status == http.StatusCreated {
				added = append(added, name)
			}
		}
	})
	end := sync.OnceFunc(func() {
		close(stop)
		posting.Wait()
	})
	t.Cleanup(end)
	return func() ([]string, map[string]bool) {
		end()
		return added, asked
	}
}

// A sight of a mail: it had not been sent, and it has been.
type sight struct{ notYet, now time.Time }

// watch looks into the mailbox all the time, until it is asked when which text was seen first.
func watch(t *testing.T, box mailbox) func() map[string]sight {
	stop, seen := make(chan struct{}), map[string]sight{}
	var watching sync.WaitGroup
	look := func(last time.Time) time.Time {
		before := time.Now()   // what is not in the file that is read now, is sent after this
		mails, _ := box.read() // the test says what is wrong with it
		for _, m := range mails {
			if _, ok := seen[m.text]; !ok {
				seen[m.text] = sight{last, time.Now()}
			}
		}
		return before
	}
	watching.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for last := time.Now(); ; {
			last = look(last)
			select {
			case <-stop:
				look(last)
				return
			case <-tick.C:
			}
		}
	})
	end := sync.OnceFunc(func() {
		close(stop)
		watching.Wait()
	})
	t.Cleanup(end)
	return func() map[string]sight {
		end()
		return seen
	}
}

// quiet waits until nothing is left in the store, and requires that nothing has died.
func quiet(t *testing.T, at place) {
	store, err := queue.Open(at.url)
	require.NoError(t, err)
	defer store.Close(t.Context())
	q := queue.New(store, nil)
	defer q.Close(t.Context())
	program.Until(t, "nothing is left in the store", func() bool {
		stats, err := q.Stats(t.Context())
		require.NoError(t, err)
		left := 0
		for _, s := range stats.Queues {
			require.Zero(t, s.Dead, s.Queue)
			left += s.Ready + s.Delayed + s.Leased
		}
		return left == 0
	})
}

// A team that is killed before the week is over does not forget: the next one writes, late.
func TestFollowUpSurvivesKill(t *testing.T) {
	t.Parallel()
	onShared(t, func(t *testing.T, at place) {
		box := newMailbox(t)
		p := program.Start(t, at.flags("all", "-mail", string(box))...)
		names := add(t, p.Site(t), "ann", 3)
		box.has(t, welcome, names)
		p.Kill()
		before := len(box.sent(t, followUp))
		pause(1200 * time.Millisecond) // the week, and somewhat more
		require.Len(t, box.sent(t, followUp), before, "nobody is there")
		p = program.Start(t, at.flags("all", "-mail", string(box))...)
		box.has(t, followUp, names)
		require.Zero(t, p.Stop(t))
	})
}

func pause(d time.Duration) { <-time.After(d) }
