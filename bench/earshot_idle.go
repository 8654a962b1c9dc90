package main

import (
	"runtime"

	"github.com/earshot-go/earshot"
)

// The names the goals ask for by.
const (
	idleSend      = "Channel.Send, int event, never subscribed"
	idleReaped    = "Channel.Send, int event, after reap"
	idleListening = "Channel.Listening"
	idleByName    = "SendEvent by name, 16 live names"
)

// earshotIdle is what an event costs when nobody listens.
var earshotIdle = []op{
	{name: idleSend, ours: true, open: func() (func(int), func()) {
		s, ch := declared[int]()
		return func(n int) {
			for i := range n {
				ch.Send(i)
			}
		}, closer(s)
	}},
	{name: idleReaped, note: "subscribed once, then left", ours: true, open: func() (func(int), func()) {
		s, ch := declared[int]()
		comeAndGo(s, ch)
		return func(n int) {
			for i := range n {
				ch.Send(i)
			}
		}, closer(s)
	}},
	{name: "Channel.Send, struct event, never subscribed", ours: true, open: func() (func(int), func()) {
		s, ch := declared[event]()
		return func(n int) {
			for i := range n {
				ch.Send(event{uint64(i), 0, text})
			}
		}, closer(s)
	}},
	{name: "Channel.Send, struct event, after reap", ours: true, open: func() (func(int), func()) {
		s, ch := declared[event]()
		comeAndGo(s, ch)
		return func(n int) {
			for i := range n {
				ch.Send(event{uint64(i), 0, text})
			}
		}, closer(s)
	}},
	{name: idleListening, ours: true, open: func() (func(int), func()) {
		s, ch := declared[event]()
		return func(n int) {
			for i := range n {
				if ch.Listening() {
					sink.Store(int64(i))
				}
			}
		}, closer(s)
	}},
	{name: "SendEvent by name, empty registry", ours: true, open: func() (func(int), func()) {
		s := earshot.NewServer(nil)
		return func(n int) {
			for i := range n {
				earshot.SendEvent(s, idleName, event{uint64(i), 0, text})
			}
		}, closer(s)
	}},
	{name: idleByName, ours: true, open: func() (func(int), func()) {
		s, stay := sixteen()
		return func(n int) {
			for i := range n {
				earshot.SendEvent(s, idleName, event{uint64(i), 0, text})
			}
		}, closer(s, stay)
	}},
	{name: "SendEvent by name, a live one looks alike", note: "same length, first and last byte", ours: true, open: func() (func(int), func()) {
		s, stay := sixteen()
		return func(n int) {
			for i := range n {
				earshot.SendEvent(s, twinName, event{uint64(i), 0, text})
			}
		}, closer(s, stay)
	}},
	{name: "Server.Listening by name, 16 live names", ours: true, open: func() (func(int), func()) {
		s, stay := sixteen()
		return func(n int) {
			for i := range n {
				if s.Listening(idleName) {
					sink.Store(int64(i))
				}
			}
		}, closer(s, stay)
	}},
}

func declared[E any]() (*earshot.Server, *earshot.Channel[E]) {
	s := earshot.NewServer(nil)
	return s, earshot.NewChannel[E](s, topic, nil)
}

func comeAndGo[E any](s *earshot.Server, ch *earshot.Channel[E]) {
	mb := earshot.NewMailbox[E](ctx, s, nil)
	_, err := ch.Subscribe(mb)
	must(err)
	must(mb.Close())
	for ch.Listening() {
		settle()
	}
}

// sixteen is a server on which the mailbox listens to each of the live names, as
// long as it stays reachable.
func sixteen() (*earshot.Server, *earshot.Mailbox[any]) {
	s := earshot.NewServer(nil)
	mb := earshot.NewMailbox[any](ctx, s, nil)
	for _, name := range liveNames {
		_, err := mb.Subscribe(name)
		must(err)
	}
	return s, mb
}

// closer ends a server, and until then keeps mailboxes from being garbage: one
// that nobody can reach has left.
func closer(s *earshot.Server, stay ...any) func() {
	return func() {
		must(s.Close())
		runtime.KeepAlive(stay)
	}
}
