// Package nats carries events over a NATS server (https://nats.io).
//
//	import _ "github.com/earshot-go/earshot/backend/nats"
//
//	b, err := bus.Open("nats://user:password@127.0.0.1:4222?stream=shop")
//
// Events live in a JetStream stream: they are kept, survive a killed server, and can be read again from any
// position. The stream is made if it is absent; one that is there is used as it is, as long as it keeps what
// [Bus.Caps] promises, and nothing of it is changed. The event "user.added" is published to the subject
// "shop.user.added", so that programs without earshot, and the nats command, can subscribe to it.
//
// [Bus.Publish] without events sends an empty message to "shop.earshot.probe", which the stream refuses: permissions
// to publish have to include it.
//
// With "?mode=core" there is no stream. The server passes events on to those who listen and forgets them, which
// takes a server of any configuration and is several times as fast: at most once, nothing to read again. What a
// feed loses because it reads too slowly is reported as a *bus.GapError.
//
// A URL may name several servers of one cluster, "nats://a:4222,b:4222", and have the scheme tls. The keys of
// its query are the fields of [BusOptions] in lower case: stream, prefix, mode, storage, replicas, keep, keepfor,
// keepbytes, maxbytes, duplicates, atomic, creds.
package nats
