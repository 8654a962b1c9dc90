package bustest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// A feed after a token begins with the event after that of the token, on any client.
func resumeAfterToken(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a, b := s.client(t), s.client(t)
	caps := a.caps()
	evs := some("resume", 12)
	a.publish(evs[:4]...)
	for _, ev := range evs[4:] {
		a.publish(ev)
	}
	// Not evs: without Ordered the stream has an order of its own.
	var order []event.Event
	var tokens []bus.Token
	reader := a.from(bus.Start)
	for len(order) < len(evs) {
		d := reader.next("the events in the order of the stream")
		if !contains(order, d.Event.ID) {
			order, tokens = append(order, d.Event), append(tokens, d.Token)
		}
		if got := reader.token(); got != d.Token {
			t.Fatalf("%s: Token is %q after a delivery with the token %q", reader.about, got, d.Token)
		}
	}
	for i, token := range tokens {
		for _, c := range []*client{a, b} {
			f := c.from(bus.After(token))
			f.want(caps.Ordered, order[i+1:]...)
			f.close()
		}
	}
	// The last token, from which nothing follows yet.
	f := b.from(bus.After(tokens[len(tokens)-1]))
	more := some("more", 3)
	a.publish(more...)
	f.want(caps.Ordered, more...)
	f.nothing(more...)
}

// A feed knows its place before anything has come, so that nothing is lost if it never does.
func tokenBeforeFirstEvent(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a, b := s.client(t), s.client(t)
	caps := a.caps()
	var before []event.Event
	for _, already := range []int{0, 3} { // on an empty stream, and on one that is not
		batch := some("before", already)
		a.publish(batch...)
		before = append(before, batch...)
		now, start := b.from(bus.Now), b.from(bus.Start)
		nowAt, startAt := now.token(), start.token()
		now.close()
		start.close()
		later := some("later", 3)
		a.publish(later...)
		a.from(bus.After(nowAt)).want(caps.Ordered, later...)
		a.from(bus.After(startAt)).want(caps.Ordered, append(before, later...)...)
		resumed := a.from(bus.After(nowAt))
		at := resumed.token()
		resumed.close()
		a.from(bus.After(at)).want(caps.Ordered, later...)
		before = append(before, later...)
	}
}

// A token is text that can be kept anywhere.
func tokenIsText(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a := s.client(t)
	caps := a.caps()
	evs := some("text", 4)
	a.publish(evs...)
	ds := a.from(bus.Start).want(caps.Ordered, evs...)
	for i, d := range ds {
		switch {
		case !utf8.ValidString(string(d.Token)):
			t.Fatalf("the token %q is not UTF-8", d.Token)
		case len(d.Token) > 8<<10:
			t.Fatalf("a token of %d bytes is no bookmark", len(d.Token))
		}
		for _, r := range string(d.Token) {
			if r < ' ' || r == 0x7f {
				t.Fatalf("the token %q has control characters", d.Token)
			}
		}
		text, err := json.Marshal(d.Token)
		if err != nil {
			t.Fatalf("the token %q: %v", d.Token, err)
		}
		var back bus.Token
		if err := json.Unmarshal(text, &back); err != nil || back != d.Token {
			t.Fatalf("the token %q has come back from JSON as %q, %v", d.Token, back, err)
		}
		if !caps.Ordered {
			continue // what follows is not known
		}
		f := s.client(t).from(bus.After(back))
		f.want(true, evs[i+1:]...)
		f.close()
	}
}

// refusesToken fails the test if the token of something else opens a feed.
func (c *client) refusesToken(what string, token bus.Token) {
	c.t.Helper()
	f, err := c.tryTail(bus.Tail{From: bus.After(token)})
	if err == nil {
		f.close()
		c.t.Fatalf("%s, %.60q, has opened a feed", what, token)
	}
	wantError(c.t, "Tail after "+what, err, bus.ErrForeignToken)
}

// Tokens of others are refused, and nonsense is.
func foreignTokenRejected(t testing.TB, open func(t testing.TB) Stream) {
	s, other := open(t), open(t)
	a := s.client(t)
	caps := a.caps()
	evs := some("foreign", 3)
	a.publish(evs...)
	mine := a.from(bus.Start).want(caps.Ordered, evs...)[0].Token
	b := other.client(t)
	theirs := some("theirs", 5)
	b.publish(theirs...)
	ds := b.from(bus.Start).want(caps.Ordered, theirs...)
	for _, d := range ds {
		a.refusesToken("the token of another stream", d.Token)
	}
	b.refusesToken("the token of another stream", mine)
	for _, token := range []bus.Token{
		"", "x", "v1", "v1:", "v1:::", ":::", "v0" + mine[2:], "v1:" + bus.Token(caps.Engine), "v1:other:epoch:1",
		bus.MakeToken(caps.Engine, "0000000000000000", "1"), bus.MakeToken(caps.Engine, "", "1"), "\xff\x00", mine[1:],
	} {
		a.refusesToken("nonsense", token)
	}
	// What only the engine can judge: it may be refused, and must not pass for trouble with the wire or hang.
	for _, tail := range []string{"", "x", "-1", "99999999999999999999999999", "'; drop table", "\x00", "*", tailOf(mine)} {
		head := mine[:len(mine)-len(tailOf(mine))]
		f, err := a.tryTail(bus.Tail{From: bus.After(head + bus.Token(tail))})
		if err != nil {
			wantError(t, "Tail after a token with the position "+tail, err, bus.ErrForeignToken)
			continue
		}
		if _, err := f.tryNext(quiet); errors.Is(err, bus.ErrDisconnected) {
			t.Fatalf("a feed after a token with the position %q: %v", tail, err)
		}
		f.close()
	}
	if caps.Ordered { // nothing of this has spoilt the stream
		a.from(bus.After(mine)).want(true, evs[1:]...)
	}
}

// tailOf is the part of a token that its engine has written.
func tailOf(t bus.Token) string {
	parts := strings.SplitN(string(t), ":", 4)
	return parts[len(parts)-1]
}
