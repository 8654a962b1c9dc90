package payload

import (
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	callTime = 100 * time.Millisecond // for one call
	userTime = 100 * time.Millisecond // for all calls of an event; then no other is begun
	strikes  = 3                      // calls in a row that took too long before there are no more
)

// stuck counts calls that have taken too long and have not returned.
var stuck atomic.Int64

// Stuck returns how many goroutines are in a method that did not return in time. There can be as
// many as there are types with such methods.
func Stuck() int { return int(stuck.Load()) }

// A gate lets one call of a method of a type through at a time.
//
// It has no channel, because it outlives the synctest bubble that it may be first used in.
type gate struct {
	state   atomic.Int32
	strikes atomic.Int32
}

const (
	isFree = iota
	isBusy
	isStuck
)

// pass waits for the gate, and says why not if it does not open.
func (g *gate) pass() (why string) {
	pause, waited := 20*time.Microsecond, time.Duration(0)
	for !g.state.CompareAndSwap(isFree, isBusy) {
		switch {
		case g.state.Load() == isStuck:
			return "has not returned since an earlier call"
		case waited >= callTime:
			return "is busy"
		}
		time.Sleep(pause)
		waited += pause
		pause = min(2*pause, time.Millisecond)
	}
	if g.strikes.Load() >= strikes {
		g.state.Store(isFree)
		return "took too long too often to be called again"
	}
	return ""
}

// A result is what a method returned. Only that of its own kind is set.
type result struct {
	text  string
	bytes []byte
	log   slog.Value
	why   string // it failed
}

// call calls a method and survives it. why tells in which way it failed, without any word of
// what the method said.
func (w *writer) call(recv any, m method, g *gate) result {
	if w.spent >= userTime {
		return result{why: "was not called, because others took too long"}
	}
	began := time.Now()
	defer func() { w.spent += time.Since(began) }()
	if why := g.pass(); why != "" {
		return result{why: why}
	}
	// Whoever is second to set over knows that the other has given up, or is done.
	var over atomic.Bool
	done := make(chan result, 1)
	// Nobody waits for this goroutine if the method hangs: nothing can end it. There is one such for
	// each gate, counted in stuck.
	go func() {
		r := result{why: "ended its goroutine"}
		defer func() {
			if x := recover(); x != nil {
				r = result{why: "panicked with " + describe(x)}
			}
			if over.Swap(true) {
				stuck.Add(-1)
				g.state.Store(isFree)
			}
			done <- r
		}()
		r = invoke(recv, m)
	}()
	timer := time.NewTimer(callTime)
	defer timer.Stop()
	select {
	case r := <-done:
		g.strikes.Store(0)
		g.state.Store(isFree)
		return r
	case <-timer.C:
	}
	stuck.Add(1)
	g.strikes.Add(1)
	g.state.Store(isStuck)
	if over.Swap(true) { // it returned just now
		stuck.Add(-1)
		g.state.Store(isFree)
	}
	return result{why: fmt.Sprintf("did not return within %v", callTime)}
}

func invoke(recv any, m method) (r result) {
	var err error
	switch m {
	case logValue:
		r.log = recv.(slog.LogValuer).LogValue()
	case marshalJSON:
		r.bytes, err = recv.(json.Marshaler).MarshalJSON()
	case errorText:
		r.text = recv.(error).Error()
	case marshalText:
		r.bytes, err = recv.(encoding.TextMarshaler).MarshalText()
		r.text = string(r.bytes)
	case stringText:
		r.text = recv.(fmt.Stringer).String()
	}
	if err != nil {
		return result{why: "failed with " + describe(err)}
	}
	return r
}

// describe tells of a panic or an error what is sure to hold no secret: its type, and the one message
// that is common and always the same.
func describe(x any) string {
	if t := reflect.TypeOf(x); t.PkgPath() == "runtime" {
		const nilPointer = "invalid memory address or nil pointer dereference"
		if err, ok := x.(runtime.Error); ok && err.Error() == "runtime error: "+nilPointer {
			return nilPointer
		}
	}
	return "a " + typeName(reflect.TypeOf(x))
}

// receiver returns what to call a method on. If only the pointer type has the method, but there is no
// pointer, it is one to a copy: a type must not lose its LogValue for being sent by value.
func receiver(v reflect.Value, viaPtr bool) any {
	if !viaPtr || v.CanAddr() {
		return direct(v)
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p.Interface()
}

// byMethod writes a value by the method that speaks for its type, if there is one that may be called.
func (w *writer) byMethod(v reflect.Value, p *plan) bool {
	m := p.method
	switch {
	case m == logValue && !v.CanInterface():
		w.raw(hidden)
		return true
	case m == noMethod && p.shut == noMethod || !v.CanInterface():
		return false
	case m == logValue && w.chain == mostChain:
		w.marker("LogValue of " + p.name + " returns LogValuers without end")
		return true
	case m == noMethod || m != logValue && !w.enc.trusts(p) || m == errorText && w.tells(v):
		if p.parts() {
			return false
		}
		if m == noMethod {
			m = p.shut
		}
		w.marker(m.String() + " of " + p.name + " is not called: it could tell a secret. Give it a LogValue")
		return true
	}
	var r result
	if p.tame {
		r = invoke(receiver(v, p.viaPtr), m)
	} else {
		r = w.call(receiver(v, p.viaPtr), m, &p.gate)
	}
	switch {
	case r.why != "":
		w.marker(m.String() + " of " + p.name + " " + r.why)
	case m == logValue:
		w.logged(r.log, p)
	case m == marshalJSON:
		w.embed(r.bytes, "MarshalJSON of "+p.name)
	default:
		w.string(r.text)
	}
	return true
}

func (w *writer) tells(v reflect.Value) bool {
	budget := mostWrapped
	if v.CanAddr() {
		v = v.Addr() // the pointer may be what implements error
	}
	return w.enc.tells(v, &budget)
}
