package fold_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/internal/fold"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A log has the calls of a function that takes a second, and answers each item with ten times of it.
type log struct {
	mu     sync.Mutex
	calls  [][]int
	within atomic.Int32
	most   int32
}

func (l *log) work(items []int) ([]int, error) {
	n := l.within.Add(1)
	defer l.within.Add(-1)
	l.mu.Lock()
	l.most = max(l.most, n)
	l.calls = append(l.calls, append([]int(nil), items...))
	l.mu.Unlock()
	time.Sleep(time.Second)
	out := make([]int, len(items))
	for i, it := range items {
		if it < 0 {
			return nil, errBad
		}
		out[i] = 10 * it
	}
	return out, nil
}

var errBad = errors.New("bad")

type answer struct {
	out []int
	err error
}

func do(f *fold.Fold[int, int], ctx context.Context, items ...int) <-chan answer {
	c := make(chan answer, 1)
	go func() {
		out, err := f.Do(ctx, items)
		c <- answer{out, err}
	}()
	synctest.Wait() // calls are made in the order of the test
	return c
}

func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		f := fold.New(4, l.work)
		ctx := t.Context()
		begin := time.Now()
		one := do(f, ctx, 1)
		two, three := do(f, ctx, 2, 3), do(f, ctx, 4)
		more := do(f, ctx, 5, 6)
		many := do(f, ctx, 7, 8, 9, 10, 11)
		last := do(f, ctx, 12)
		require.Equal(t, answer{[]int{10}, nil}, <-one)
		require.Equal(t, time.Second, time.Since(begin), "who comes alone does not wait for others")
		require.Equal(t, answer{[]int{20, 30}, nil}, <-two)
		require.Equal(t, answer{[]int{40}, nil}, <-three)
		require.Equal(t, answer{[]int{50, 60}, nil}, <-more)
		require.Equal(t, answer{[]int{70, 80, 90, 100, 110}, nil}, <-many)
		require.Equal(t, answer{[]int{120}, nil}, <-last)
		require.Equal(t, [][]int{{1}, {2, 3, 4}, {5, 6}, {7, 8, 9, 10, 11}, {12}}, l.calls)
		require.EqualValues(t, 1, l.most)
	})
}

// What a caller gets it may append to: it does not reach into what others got.
func TestAnswersAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		f := fold.New(10, l.work)
		do(f, t.Context(), 0)
		a, b := do(f, t.Context(), 1), do(f, t.Context(), 2)
		got := (<-a).out
		_ = append(got, -1)
		require.Equal(t, []int{20}, (<-b).out)
	})
}

func TestErrorIsToldToAllThatWentTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		f := fold.New(10, l.work)
		before := do(f, t.Context(), 1)
		bad, with := do(f, t.Context(), -1), do(f, t.Context(), 2)
		require.NoError(t, (<-before).err)
		require.ErrorIs(t, (<-bad).err, errBad)
		require.ErrorIs(t, (<-with).err, errBad)
		require.NoError(t, (<-do(f, t.Context(), 3)).err)
	})
}

func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		f := fold.New(10, l.work)
		gone := errors.New("gone")
		ended, end := context.WithCancelCause(t.Context())
		end(gone)
		require.ErrorIs(t, (<-do(f, ended, 1)).err, gone)
		require.Empty(t, l.calls, "it had ended before")

		ctx, cancel := context.WithCancelCause(t.Context())
		begun := do(f, ctx, 1)
		waits := do(f, ctx, 2)
		other := do(f, t.Context(), 3)
		late := do(f, ctx, 4)
		cancel(gone)
		synctest.Wait()
		require.ErrorIs(t, (<-begun).err, gone)
		require.ErrorIs(t, (<-waits).err, gone)
		require.ErrorIs(t, (<-late).err, gone)
		require.Equal(t, answer{[]int{30}, nil}, <-other)
		require.Equal(t, [][]int{{1}, {3}}, l.calls, "what was not begun is taken back")
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		f := fold.New(1, l.work)
		f.Close()
		_, err := f.Do(t.Context(), []int{1})
		require.ErrorIs(t, err, fold.ErrClosed)

		f = fold.New(1, l.work)
		begin := time.Now()
		one, two := do(f, t.Context(), 1), do(f, t.Context(), 2)
		closed := make(chan time.Duration, 2)
		for range cap(closed) {
			go func() {
				f.Close()
				closed <- time.Since(begin)
			}()
		}
		synctest.Wait()
		_, err = f.Do(t.Context(), []int{3})
		require.ErrorIs(t, err, fold.ErrClosed)
		require.Equal(t, []time.Duration{2 * time.Second, 2 * time.Second}, []time.Duration{<-closed, <-closed}, "it waits for those that are under way")
		require.Equal(t, []int{10}, (<-one).out)
		require.Equal(t, []int{20}, (<-two).out)
		f.Close()
	})
}

// What has been answered is not kept alive.
func TestItemsAreLetGo(t *testing.T) {
	f := fold.New(10, func(items []*[1 << 10]byte) ([]int, error) { return make([]int, len(items)), nil })
	var freed atomic.Bool
	func() {
		big := new([1 << 10]byte)
		runtime.AddCleanup(big, func(int) { freed.Store(true) }, 0)
		_, err := f.Do(t.Context(), []*[1 << 10]byte{big})
		require.NoError(t, err)
	}()
	require.Eventually(t, func() bool {
		runtime.GC()
		return freed.Load()
	}, 10*time.Second, time.Millisecond)
	runtime.KeepAlive(f)
}

// Every call gets its own answers, whoever goes together with it, and one call of the function is under way at a time.
func TestMany(t *testing.T) {
	var within, calls atomic.Int32
	f := fold.New(16, func(items []int) ([]int, error) {
		if within.Add(1) != 1 {
			panic("two at a time")
		}
		defer within.Add(-1)
		calls.Add(1)
		out := make([]int, len(items))
		for i, it := range items {
			out[i] = -it
		}
		return out, nil
	})
	var all sync.WaitGroup
	var wrong atomic.Int32
	for g := range 16 {
		all.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%7 == 0 {
					go cancel()
				}
				a, b := g*10000+i, g*10000+5000+i
				out, err := f.Do(ctx, []int{a, b})
				if err == nil && (len(out) != 2 || out[0] != -a || out[1] != -b) || err != nil && !errors.Is(err, context.Canceled) {
					wrong.Add(1)
				}
				cancel()
			}
		})
	}
	all.Wait()
	f.Close()
	require.Zero(t, wrong.Load())
	require.Less(t, calls.Load(), int32(16*500), "some went together")
}

// Items may count for more than one.
func TestSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		f := fold.New(10, l.work)
		f.Size = func(n *int) int { return *n }
		ctx := t.Context()
		one := do(f, ctx, 1)
		a, b, c := do(f, ctx, 6), do(f, ctx, 4), do(f, ctx, 1)
		for _, answered := range []<-chan answer{one, a, b, c} {
			require.NoError(t, (<-answered).err)
		}
		require.Equal(t, [][]int{{1}, {6, 4}, {1}}, l.calls)
	})
}
