package redis_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/backend/redis"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

// timed makes a stream with n entries of the ids 1001-1 to 1000+n-1 and returns a bus on it.
func timed(t *testing.T, n int) (s *server, key string, b *redis.Bus) {
	s = shared(t)
	key = s.newStream(t)
	b = at(t, s.url(key, ""), &redis.BusOptions{Keep: -1})
	text := `{"specversion":"1.0","id":"e'..i..'","source":"/x","type":"x"}`
	s.do(t, fmt.Sprintf("EVAL for\ti=1,%d\tdo\tredis.call('xadd',KEYS[1],(1000+i)..'-1','e','%s')end 1 %s", n, text, key))
	return s, key, b
}

// A feed that began at a time does not know how many entries came before it. What it misses is a gap all the same.
func TestOvertakenSinceTime(t *testing.T) {
	for _, n := range []int{1, 63, 64, 65, 2010} {
		s, key, b := timed(t, n+10)
		f := tail(t, b, bus.At(time.UnixMilli(1011))) // before e11
		begin := token(f)
		s.do(t, fmt.Sprintf("XTRIM %s MAXLEN 1", key))
		last := fmt.Sprint("e", n+10)
		if n == 1 {
			says(t, f, last)
			says(t, tail(t, b, bus.After(begin)), last)
			continue
		}
		// It may have read a batch or two before.
		came, gaps := 0, 0
		for {
			said, err := next(t, f, 1)
			require.NoError(t, err)
			if said[0] == last {
				break
			}
			if strings.HasPrefix(said[0], "gap") {
				gaps++
			} else {
				came++
			}
		}
		if came < n-1 {
			require.Equal(t, 1, gaps, "%d of %d came", came, n-1)
		} else {
			require.Zero(t, gaps)
		}
		says(t, tail(t, b, bus.After(begin)), "gap 0 "+last)
	}
}

// There is a gap exactly if the entry after the position is gone, and the feed counts from then on.
func TestResumedSinceTime(t *testing.T) {
	s, key, b := timed(t, 510)
	f := tail(t, b, bus.At(time.UnixMilli(1011)))
	begin := token(f)
	d, err := f.Next(t.Context())
	require.NoError(t, err)
	require.Equal(t, "e11", d.Event.ID)
	require.NoError(t, f.Close())

	s.do(t, "XTRIM "+key+" MAXLEN 500") // all before e11
	says(t, tail(t, b, bus.After(begin)), "e11 e12")
	s.do(t, "XTRIM "+key+" MAXLEN 499")
	says(t, tail(t, b, bus.After(begin)), "gap 0 e12 e13")
	says(t, tail(t, b, bus.After(d.Token)), "e12 e13")
	s.do(t, "XTRIM "+key+" MAXLEN 498")
	says(t, tail(t, b, bus.After(d.Token)), "gap 0 e13 e14")
	s.do(t, "XTRIM "+key+" MAXLEN 0")
	says(t, tail(t, b, bus.After(d.Token)), "gap 0")
}

// The token stays before a gap until an event has come, so that whoever stops there hears of it again.
func TestTokenBeforeGap(t *testing.T) {
	s := shared(t)
	key := s.newStream(t)
	b := at(t, s.url(key, ""), nil)
	f := tail(t, b, bus.Now)
	before := token(f)
	require.NoError(t, f.Close())
	require.NoError(t, b.Publish(t.Context(), events(3)...))
	s.do(t, "XTRIM "+key+" MAXLEN 1")
	f = tail(t, b, bus.After(before))
	for range 2 {
		says(t, f, "gap 2")
		require.Equal(t, before, token(f))
		f = tail(t, b, bus.After(token(f)))
	}
	says(t, f, "gap 2 e3")
	says(t, tail(t, b, bus.After(token(f))), "")

	open := tail(t, b, bus.Now)
	text := `{"specversion":"1.0","id":"b'..i..'","source":"/x","type":"x"}`
	before = token(open)
	s.do(t, "EVAL for\ti=1,9\tdo\tredis.call('xadd',KEYS[1],'maxlen','2','*','e','"+text+"')end 1 "+key)
	says(t, open, "gap 7")
	require.Equal(t, before, token(open))
	says(t, open, "b8 b9")
}

// A feed that meets a reply that is too large ends, and the next ones ask for less at a time.
func TestRepliesTooLarge(t *testing.T) {
	s := shared(t)
	b := at(t, s.url(s.newStream(t), ""), nil)
	b.LimitReplies(300_000)
	big := append(append([]byte{'"'}, bytes.Repeat([]byte("a"), 200_000)...), '"')
	for i := range 5 {
		require.NoError(t, b.Publish(t.Context(), event.Event{ID: fmt.Sprint("b", i), Source: "/x", Type: "x", Data: big}))
	}
	_, err := next(t, tail(t, b, bus.Start), 1)
	require.ErrorIs(t, err, bus.ErrDisconnected)
	says(t, tail(t, b, bus.Start), "b0 b1 b2 b3 b4")
}
