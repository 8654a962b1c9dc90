package emitter_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := membus.New(nil)
		e := emitter.New(&emitter.Options{Server: earshot.NewServer(nil), Bus: b})
		var got []string
		for _, n := range []string{emitter.Connect, emitter.Disconnect, emitter.Reconnect, emitter.Error, emitter.Gap, emitter.Drop} {
			e.On(n, func(_ context.Context, ev emitter.Event) error { got = append(got, n); return nil })
		}
		emitter.On(e, "user", func(_ context.Context, u user) error { got = append(got, u.Name); return nil })
		ctx := t.Context()
		require.NoError(t, e.EmitWait(ctx, "user", user{1, "ann"}))
		require.NoError(t, e.Emit(ctx, "user", user{1, "bob"}))
		synctest.Wait()
		require.Equal(t, []string{"connect", "ann", "bob"}, got)
		b.Fail(bus.ErrDisconnected)
		require.NoError(t, e.Emit(ctx, "user", user{1, "cay"}))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"connect", "ann", "bob", "disconnect"}, got)
		b.Fail(nil)
		require.NoError(t, e.EmitWait(ctx, "user", user{1, "dan"}))
		synctest.Wait()
		require.Equal(t, []string{"connect", "ann", "bob", "disconnect", "reconnect", "cay", "dan"}, got)
		b.Reset()
		time.Sleep(3 * time.Second)
		t.Log(got, e.Stats().Bus)
		require.NoError(t, e.EmitWait(ctx, "user", user{1, "eve"}))
		for ev, err := range e.Timeline(ctx, bus.Start) {
			t.Log(ev.Name, string(ev.Received.Token), err)
		}
		require.NoError(t, e.Close(ctx))
		require.NoError(t, b.Close(ctx))
		t.Log(got)
	})
}
