package shop_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/cmd/earshot/internal/shop"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Ten minutes of the shop: everything that it declares happens, at the rate that was asked for, the
// fraud check is found to be slow, and at the end nobody is left in the shop.
func TestShop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := earshot.NewServer(nil)
		sh, err := shop.New(srv, shop.Options{Rate: 2, Seed: 1})
		require.NoError(t, err)
		mb := earshot.NewMailbox[any](t.Context(), srv, &earshot.MailboxOptions{Capacity: 1 << 20})
		_, err = mb.SubscribePattern("**")
		require.NoError(t, err)
		slow := earshot.NewMailbox[earshot.Slow](t.Context(), srv, nil)
		_, err = srv.Slow().Subscribe(slow)
		require.NoError(t, err)

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		sh.Run(ctx)
		synctest.Wait()

		heard := map[any]int{}
		for {
			name, _, ok := mb.TryReceiveNamed()
			if !ok {
				break
			}
			heard[name]++
		}
		for c := range srv.Channels() {
			if c.Declared && c.Name != earshot.LifecycleChannel && c.Name != earshot.SlowChannel {
				assert.Positive(t, heard[c.Name], "%v: nothing was sent", c.Name)
				assert.NotEmpty(t, c.Doc, "%v", c.Name)
			}
		}
		assert.InDelta(t, 2*600, heard["orders.placed"], 200)
		assert.Equal(t, heard["payments.tried"], heard["orders.paid"]+heard["orders.refused"])
		found := 0
		for msg, ok := slow.TryReceive(); ok; msg, ok = slow.TryReceive() {
			if msg.Event.Subscriber == "fraud check" && !msg.Event.Recovered {
				found++
			}
		}
		assert.Positive(t, found, "nobody was slow")
		require.NoError(t, mb.Close())
		require.NoError(t, slow.Close())
		require.NoError(t, srv.Close())
		require.NoError(t, srv.Shutdown(context.WithoutCancel(t.Context())))
	})
}

func TestShopRefusesNonsense(t *testing.T) {
	srv := earshot.NewServer(nil)
	for _, rate := range []float64{-1, 1e9} {
		_, err := shop.New(srv, shop.Options{Rate: rate})
		assert.Error(t, err, rate)
	}
}

// A shop that is full lets nobody in, and closes in time.
func TestShopAtRush(t *testing.T) {
	srv := earshot.NewServer(nil)
	sh, err := shop.New(srv, shop.Options{Rate: 10_000, Seed: 1})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { sh.Run(ctx) })
	wg.Wait()
	require.NoError(t, srv.Close())
	require.NoError(t, srv.Shutdown(context.Background()))
}
