package redis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/backend/redis"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

// opened is a bus on a stream of its own, closed with the test.
func opened(t testing.TB, s *server, o *redis.BusOptions) *redis.Bus {
	return at(t, s.url(s.newStream(t), ""), o)
}

func at(t testing.TB, url string, o *redis.BusOptions) *redis.Bus {
	b, err := redis.OpenBus(url, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close(context.Background())) })
	return b
}

func events(n int) (evs []event.Event) {
	for i := range n {
		evs = append(evs, event.Event{ID: fmt.Sprint("e", i+1), Source: "/test", Type: "test.tick"})
	}
	return evs
}

func tail(t testing.TB, b *redis.Bus, p bus.Position) bus.Feed {
	f, err := b.Tail(t.Context(), bus.Tail{From: p})
	require.NoError(t, err)
	return f
}

// next returns what the next n calls of Next say: the ID, "gap 3", or the error.
func next(t testing.TB, f bus.Feed, n int) (said []string, last error) {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	for range n {
		d, err := f.Next(ctx)
		var gap *bus.GapError
		switch {
		case errors.As(err, &gap):
			said = append(said, fmt.Sprint("gap ", gap.Missed))
		case err != nil:
			return append(said, err.Error()), err
		default:
			said = append(said, d.Event.ID)
		}
	}
	return said, nil
}

func says(t testing.TB, f bus.Feed, want string) {
	t.Helper()
	said, _ := next(t, f, len(strings.Fields(strings.ReplaceAll(want, "gap ", "gap"))))
	require.Equal(t, want, strings.Join(said, " "))
}

func token(f bus.Feed) bus.Token { return f.(bus.Positioned).Token() }

// Whatever takes the stream, or its identity, away ends the feeds that are open before they have anything of the new
// one, and makes the old tokens foreign.
func TestMadeAnew(t *testing.T) {
	for _, c := range []struct{ name, how string }{
		{"DEL", "DEL $"},
		{"DELAndAdd", "DEL $|XADD $ * e {\"specversion\":\"1.0\",\"id\":\"new\",\"source\":\"/x\",\"type\":\"x\"}"},
		{"InOneTransaction", "EVAL redis.call('del',KEYS[1])redis.call('xadd',KEYS[1],'*','e','{\"specversion\":\"1.0\",\"id\":\"new\",\"source\":\"/x\",\"type\":\"x\"}') 1 $"},
		{"AnotherIdentity", "EVAL redis.call('del',KEYS[1])redis.call('xgroup','create',KEYS[1],'earshot.epoch','5-5','mkstream')redis.call('xadd',KEYS[1],'*','e','{\"specversion\":\"1.0\",\"id\":\"new\",\"source\":\"/x\",\"type\":\"x\"}') 1 $"},
		{"FLUSHALL", "FLUSHALL"},
		{"TheGroupAlone", "XGROUP DESTROY $ earshot.epoch"},
		{"RENAME", "RENAME $ $-old"},
		{"EXPIRE", "PEXPIRE $ 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			b := at(t, s.url("shop", ""), nil)
			now, behind := tail(t, b, bus.Now), tail(t, b, bus.Start)
			require.NoError(t, b.Publish(t.Context(), events(3)...))
			says(t, now, "e1 e2 e3")
			says(t, behind, "e1")
			old := token(now)
			s.do(t, strings.Split(strings.ReplaceAll(c.how, "$", "shop"), "|")...)
			begun := time.Now()
			_, err := next(t, now, 1)
			require.ErrorIs(t, err, bus.ErrForeignToken)
			require.Less(t, time.Since(begun), 3*time.Second)
			_, err = next(t, behind, 3) // two that it has read already
			require.ErrorIs(t, err, bus.ErrForeignToken)

			_, err = b.Tail(t.Context(), bus.Tail{From: bus.After(old)})
			require.ErrorIs(t, err, bus.ErrForeignToken)
			fresh := tail(t, b, bus.Now)
			_, err = b.Tail(t.Context(), bus.Tail{From: bus.After(old)})
			require.ErrorIs(t, err, bus.ErrForeignToken)
			require.NoError(t, b.Publish(t.Context(), events(1)...))
			says(t, fresh, "e1")
		})
	}
}

// The identity is made by one of many who come at the same time.
func TestEpochIsOne(t *testing.T) {
	s := shared(t)
	url := s.url(s.newStream(t), "")
	tokens := make(chan bus.Token, 20)
	for range cap(tokens) {
		b := at(t, url, nil)
		go func() {
			f, err := b.Tail(context.Background(), bus.Tail{})
			if err != nil {
				tokens <- bus.Token(err.Error())
				return
			}
			tokens <- token(f)
		}()
	}
	first := <-tokens
	require.True(t, strings.HasPrefix(string(first), "v1:redis:"), first)
	for range cap(tokens) - 1 {
		require.Equal(t, first, <-tokens)
	}
}

// A feed that is open and not read misses what is removed meanwhile, and says how much.
func TestOvertakenFeed(t *testing.T) {
	s := shared(t)
	key := s.newStream(t)
	b := at(t, s.url(key, ""), &redis.BusOptions{Keep: -1})
	f := tail(t, b, bus.Now)
	require.NoError(t, b.Publish(t.Context(), events(1)...))
	says(t, f, "e1")
	// Two batches are on their way at most; they hold 64 and 512.
	many := make([]event.Event, 3000)
	for i := range many {
		many[i] = event.Event{ID: fmt.Sprint("m", i+1), Source: "/test", Type: "test.tick", Data: []byte(`"` + strings.Repeat("x", 4000) + `"`)}
	}
	require.NoError(t, b.Publish(t.Context(), many...))
	s.do(t, "XTRIM "+key+" MAXLEN = 10")
	require.NoError(t, b.Publish(t.Context(), events(1)...))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	came, missed, gaps := 0, 0, 0
	for {
		d, err := f.Next(ctx)
		var gap *bus.GapError
		if errors.As(err, &gap) {
			gaps++
			missed += int(gap.Missed)
			continue
		}
		require.NoError(t, err)
		if d.Event.ID == "e1" {
			break
		}
		came++
	}
	require.Equal(t, 1, gaps)
	require.Equal(t, len(many), came+missed)
	require.Positive(t, missed)
	// What follows the gap can be resumed without another one.
	says(t, tail(t, b, bus.After(token(f))), "")
}

// A burst that the server has removed in the moment in which it was added is a gap as well.
func TestBurstBeyondKeep(t *testing.T) {
	s := shared(t)
	key := s.newStream(t)
	b := at(t, s.url(key, ""), nil)
	f := tail(t, b, bus.Now)
	text := `{"specversion":"1.0","id":"b'..i..'","source":"/x","type":"x"}`
	s.do(t, "EVAL for\ti=1,9\tdo\tredis.call('xadd',KEYS[1],'*','e','"+text+"')end 1 "+key)
	says(t, f, "b1 b2 b3 b4 b5 b6 b7 b8 b9")
	s.do(t, "EVAL for\ti=1,9\tdo\tredis.call('xadd',KEYS[1],'maxlen','2','*','e','"+text+"')end 1 "+key)
	says(t, f, "gap 7 b8 b9")
	s.do(t, "EVAL for\ti=1,4\tdo\tredis.call('xadd',KEYS[1],'maxlen','0','*','e','"+text+"')end 1 "+key)
	says(t, f, "gap 4")
}

// Events that somebody has deleted one by one are missing, and counted if that is possible.
func TestDeletedEvents(t *testing.T) {
	s := shared(t)
	key := s.newStream(t)
	b := at(t, s.url(key, ""), nil)
	start := tail(t, b, bus.Start)
	ids := make([]string, 0, 5)
	var tokens []bus.Token
	for _, ev := range events(5) {
		require.NoError(t, b.Publish(t.Context(), ev))
		d, err := start.Next(t.Context())
		require.NoError(t, err)
		tokens = append(tokens, d.Token)
		position := strings.SplitN(string(d.Token), ":", 4)[3]
		id, _, _ := strings.Cut(position, "/")
		ids = append(ids, id)
	}
	s.do(t, "XDEL "+key+" "+ids[2])
	says(t, tail(t, b, bus.After(tokens[0])), "gap 0 e2 e4 e5")
	says(t, tail(t, b, bus.After(tokens[2])), "e4 e5")
	says(t, tail(t, b, bus.After(tokens[4])), "")
	s.do(t, "XDEL "+key+" "+ids[0]+" "+ids[1]+" "+ids[3]+" "+ids[4])
	says(t, tail(t, b, bus.After(tokens[0])), "gap 4")
	past, err := b.Tail(t.Context(), bus.Tail{From: bus.After(tokens[0]), Past: true})
	require.NoError(t, err)
	says(t, past, "gap 4")
	_, err = past.Next(t.Context())
	require.Equal(t, io.EOF, err)
}

// Entries that are no events are left out.
func TestGarbage(t *testing.T) {
	s := shared(t)
	key := s.newStream(t)
	b := at(t, s.url(key, ""), nil)
	f := tail(t, b, bus.Start)
	good := `{"specversion":"1.0","id":"g","source":"/x","type":"x"}`
	s.do(t, "XADD "+key+" * x 1", "XADD "+key+" * e {}", "XADD "+key+" * e \xff\xfe", "XADD "+key+" * e "+good+" more 1",
		"XADD "+key+" * e [1", "XADD "+key+" * more 1 e "+good)
	says(t, f, "g g")
	require.EqualValues(t, 4, b.Garbage())
}

// Time is that of the server's ids.
func TestAtTime(t *testing.T) {
	s := shared(t)
	key := s.newStream(t)
	b := at(t, s.url(key, ""), nil)
	text := ` e {"specversion":"1.0","id":"$","source":"/x","type":"x"}`
	for _, ms := range []string{"1000", "2000", "3000"} {
		s.do(t, "XADD "+key+" "+ms+"-1"+strings.Replace(text, "$", ms, 1))
	}
	from := func(ms int64) bus.Feed { return tail(t, b, bus.At(time.UnixMilli(ms))) }
	says(t, from(-5), "1000 2000 3000")
	says(t, from(1000), "1000 2000 3000")
	middle := from(1001)
	says(t, tail(t, b, bus.After(token(middle))), "2000 3000")
	says(t, middle, "2000 3000")
	says(t, from(3000), "3000")
	// A time that has not come yet, by the ids: what comes before it is not brought, on a resumed feed neither.
	late := from(5000)
	resumed := tail(t, b, bus.After(token(late)))
	s.do(t, "XADD "+key+" 4000-1"+strings.Replace(text, "$", "4000", 1), "XADD "+key+" 5000-1"+strings.Replace(text, "$", "5000", 1))
	says(t, late, "5000")
	says(t, resumed, "5000")
	says(t, tail(t, b, bus.After(token(late))), "")
}

// KeepFor goes by the server's clock and leaves what is younger.
func TestKeepFor(t *testing.T) {
	s := shared(t)
	key := s.newStream(t)
	b := at(t, s.url(key, "")+"&keepfor=1h", nil)
	for i := range 300 { // more than a node
		s.do(t, fmt.Sprintf("XADD %s 1000-%d e x", key, i+1))
	}
	require.NoError(t, b.Publish(t.Context(), events(2)...))
	require.Less(t, s.do(t, "XLEN "+key), int64(110))
	says(t, tail(t, b, bus.Start), "e1 e2")
}

func TestKeep(t *testing.T) {
	s := shared(t)
	key := s.newStream(t)
	b := at(t, s.url(key, "")+"&keep=100", nil)
	for range 10 {
		require.NoError(t, b.Publish(t.Context(), events(100)...))
	}
	require.Less(t, s.do(t, "XLEN "+key), int64(300))
}
