package filter

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/earshot-go/earshot"
)

// Limits on a filter. They bound what one costs to match, and nobody types more.
const (
	MaxBytes = 4096
	MaxTerms = 64
)

// A Filter tells events that are wanted from others. It does not change, and may be used from many
// goroutines. The zero Filter lets everything through but the server's own channels.
type Filter struct {
	text string // canonical
	hide hide

	chans, notChans []pattern
	types, notTypes []typeGlob
	comparisons     []*comparison
	searches        []search

	// textLimit and reLimit are how many bytes of text in one event are searched.
	textLimit, reLimit int

	rate     int
	per      time.Duration
	keep, of int
}

// Parse returns the filter that a text describes. Its error is an [*Error].
func Parse(text string) (*Filter, error) {
	return parse(text, nil)
}

// String returns the filter as text, from which [Parse] makes one that does the same. It is printable
// and in one line. Filters that differ in blanks or needless quotes only have the same text.
func (f *Filter) String() string { return f.text }

// Channel reports whether the filter wants the events of a channel, by its name. Names that are not
// strings are compared as [earshot.NameText] writes them.
func (f *Filter) Channel(name any) bool { return f.ChannelText(earshot.NameText(name)) }

// ChannelText is [Filter.Channel] for a name that is text. It does not allocate.
func (f *Filter) ChannelText(name string) bool {
	for i := range f.notChans {
		if f.notChans[i].match(name) {
			return false
		}
	}
	for i := range f.chans {
		if f.chans[i].match(name) {
			return true
		}
	}
	return len(f.chans) == 0 && !strings.HasPrefix(name, ownChannels)
}

// ChannelKey returns a text that is equal for filters with the same chan: terms, in whatever order.
// Such filters agree on every channel. It is empty without such terms.
func (f *Filter) ChannelKey() string {
	var terms []string
	for _, p := range f.chans {
		terms = append(terms, "chan:"+quoteUnless(barePattern, p.text))
	}
	for _, p := range f.notChans {
		terms = append(terms, "-chan:"+quoteUnless(barePattern, p.text))
	}
	slices.Sort(terms)
	return strings.Join(slices.Compact(terms), " ")
}

// LooksInside reports whether the filter depends on what is in events: it has terms about fields,
// text or errors. Whoever may not see payloads must not have such a filter, since what it lets
// through tells what is inside.
func (f *Filter) LooksInside() bool { return len(f.comparisons)+len(f.searches) > 0 }

// Type reports whether the filter wants events of a type: of a pointer type if it wants those of its
// element type. nil is the type of a nil event, and its name is nil. It does not allocate.
func (f *Filter) Type(t reflect.Type) bool {
	if len(f.types)+len(f.notTypes) == 0 {
		return true
	}
	t = element(t)
	for i := range f.notTypes {
		if f.notTypes[i].match(t) {
			return false
		}
	}
	for i := range f.types {
		if f.types[i].match(t) {
			return true
		}
	}
	return len(f.types) == 0
}

// Match reports whether the filter wants an event, by its type and by what is inside; the channel is
// for [Filter.Channel]. The value is not valid for a nil event. Nobody may change the event
// meanwhile. If looking at it panics, it does not match.
func (f *Filter) Match(event reflect.Value) (yes bool) {
	defer func() {
		if recover() != nil {
			yes = false
		}
	}()
	return f.match(event)
}

func (f *Filter) match(event reflect.Value) bool {
	if len(f.types)+len(f.notTypes) > 0 && !f.Type(typeOf(event)) {
		return false
	}
	var r reading
	for _, c := range f.comparisons {
		if !c.holds(event, &r) {
			return false
		}
	}
	return len(f.searches) == 0 || f.searchHolds(event, &r)
}

// typeOf returns the type of an event, nil if it is nil.
func typeOf(event reflect.Value) reflect.Type {
	if event.Kind() == reflect.Interface {
		event = event.Elem()
	}
	if !event.IsValid() {
		return nil
	}
	return event.Type()
}

// Rate returns the rate: term: no more than n events in so much time. ok is false if there is none.
func (f *Filter) Rate() (n int, per time.Duration, ok bool) { return f.rate, f.per, f.rate > 0 }

// Sample returns the term that keeps a part of the events, 1 of 10 for 1/10. ok is false if there
// is none.
func (f *Filter) Sample() (keep, of int, ok bool) { return f.keep, f.of, f.of > 0 }
