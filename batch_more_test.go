package earshot_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// The messages of a batch have the numbers that Handle would have said, from the first on.
func TestHandleBatchNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "x", nil)
		m, _ := listen[int](t, s, "x", &earshot.MailboxOptions{Capacity: 1000})
		type at struct {
			seq   uint64
			event int
		}
		var got, want []at
		var refs []earshot.Ref
		ref, err := c.HandleBatch(t.Context(), func(_ context.Context, b earshot.Batch[int]) error {
			refs = append(refs, b.Ref)
			for i, event := range b.Events {
				got = append(got, at{b.Seq + uint64(i), event})
			}
			time.Sleep(time.Millisecond)
			return nil
		}, &earshot.SpawnOptions{Capacity: 1000})
		require.NoError(t, err)
		for i := range 500 {
			c.Send(i)
		}
		time.Sleep(time.Minute)
		for _, msg := range drain(m) {
			want = append(want, at{msg.Seq, msg.Event})
		}
		require.Len(t, got, 500)
		require.Equal(t, want, got)
		require.Less(t, len(refs), 500, "batches")
		for _, r := range refs {
			require.Equal(t, ref, r)
		}
	})
}

// Whichever way a call ends, its batch is done with, and a restart goes on behind it: no event is handled twice.
func TestHandleBatchAfterEachKindOfEnd(t *testing.T) {
	for name, end := range map[string]func() error{
		"error":  func() error { return errors.New("no") },
		"panic":  func() error { panic("no") },
		"goexit": func() error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				c := earshot.NewChannel[int](s, "x", &earshot.ChannelOptions{MayBlock: true})
				var got []int
				ref, err := c.HandleBatch(t.Context(), func(_ context.Context, b earshot.Batch[int]) error {
					got = append(got, b.Events...)
					if b.Events[0]%2 == 0 {
						return end()
					}
					return nil
				}, &earshot.SpawnOptions{Capacity: 64, Overflow: earshot.Block, Restart: earshot.Restart{Max: 1000, Within: time.Hour}})
				require.NoError(t, err)
				for i := range 200 {
					c.Send(i)
				}
				time.Sleep(time.Hour)
				settle(t, s)
				require.Equal(t, upTo(0, 199), got)
				st, ok := s.Subscription(ref)
				require.True(t, ok)
				require.Zero(t, st.Depth)
			})
		})
	}
}

// A full mailbox that blocks its senders lets them go on as soon as a batch has been taken, and loses nothing.
func TestHandleBatchBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "x", &earshot.ChannelOptions{MayBlock: true})
		var got []int
		hold := make(chan struct{})
		_, err := c.HandleBatch(t.Context(), func(_ context.Context, b earshot.Batch[int]) error {
			<-hold
			require.Zero(t, b.Missed)
			got = append(got, b.Events...)
			return nil
		}, &earshot.SpawnOptions{Capacity: 32, Overflow: earshot.Block})
		require.NoError(t, err)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range 300 {
				c.Send(i)
			}
		}()
		synctest.Wait()
		require.False(t, isClosed(sent), "the sender waits")
		hold <- struct{}{}
		synctest.Wait()
		require.False(t, isClosed(sent))
		close(hold)
		<-sent
		settle(t, s)
		require.Equal(t, upTo(0, 299), got)
	})
}

// What a batch held does not stay reachable through the slice that is used again.
func TestHandleBatchForgets(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[*[1 << 20]byte](s, "x", nil)
	handled := make(chan int, 100)
	_, err := c.HandleBatch(t.Context(), func(_ context.Context, b earshot.Batch[*[1 << 20]byte]) error {
		handled <- len(b.Events)
		return nil
	}, &earshot.SpawnOptions{Capacity: 1000})
	require.NoError(t, err)
	gone := make(chan struct{}, 100)
	for range 20 {
		v := new([1 << 20]byte)
		runtime.AddCleanup(v, func(struct{}) { gone <- struct{}{} }, struct{}{})
		c.Send(v)
	}
	for n := 0; n < 20; {
		n += await(t, handled, "the events")
	}
	for range 4 { // batches of one: nothing of a larger one before them is kept
		c.Send(nil)
		await(t, handled, "the next event")
	}
	settle(t, s)
	require.Eventually(t, func() bool { runtime.GC(); return len(gone) == 20 }, patience, 10*time.Millisecond)
}

// The end of the context, and an Unsubscribe from within, end it after the batch in hand.
func TestHandleBatchEnds(t *testing.T) {
	for name, how := range map[string]func(s *earshot.Server, ref earshot.Ref, cancel func()){
		"context":     func(_ *earshot.Server, _ earshot.Ref, cancel func()) { cancel() },
		"unsubscribe": func(s *earshot.Server, ref earshot.Ref, _ func()) { s.Unsubscribe(ref) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				c := earshot.NewChannel[int](s, "x", nil)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				var got []int
				ref, err := c.HandleBatch(ctx, func(_ context.Context, b earshot.Batch[int]) error {
					got = append(got, b.Events...)
					how(s, b.Ref, cancel)
					return nil
				}, &earshot.SpawnOptions{Capacity: 64})
				require.NoError(t, err)
				for i := range 50 {
					c.Send(i)
				}
				<-s.Monitor(ref)
				require.NotEmpty(t, got)
				require.Less(t, len(got), 50)
				require.Equal(t, upTo(0, len(got)-1), got)
				require.Zero(t, c.Audience())
			})
		})
	}
}
