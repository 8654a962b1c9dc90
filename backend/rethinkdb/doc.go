// Package rethinkdb carries earshot's events over a table of RethinkDB, and keeps them there as a timeline that
// queries can read.
//
//	b, err := bus.Open("rethinkdb://user:password@127.0.0.1:28015/earshot/events")
//
// The path names the database and the table; without them they are earshot and events. Both are made when they
// are not there, with an index on ts. The query takes what [BusOptions] has: persist, keep, keepfor, overlap,
// maxbytes.
//
// # Documents
//
// An event is one document:
//
//	{
//		id:      "/shop 0198…",               // the event's source and ID
//		ts:      r.now(),                     // when the server took it; indexed
//		n:       17,                          // counts what one Bus has published
//		type:    "user.added",                // source, subject and time likewise, where the event has them
//		event:   "{\"specversion\":\"1.0\",…" // the event in CloudEvents' JSON, byte for byte
//	}
//
// Source and ID have a space between them: r.table("events").get("/shop 0198…"). A hash stands in their place if the
// source has a space, or both are longer than a primary key may be.
//
// The event itself is a string, because numbers of RethinkDB are doubles and an event's are not. Its data can be
// asked for all the same: r.table("events").filter(r.json(r.row("event"))("data")("amount").gt(10)).
// One more document, "earshot:stream", says which stream this is. Its ts is null, so that it is not in the index.
//
// # What holds
//
// Events are written with durability hard. An event that is published again, with its source and ID, is kept once,
// for as long as its document is.
//
// Changefeeds of RethinkDB cannot go on where another one ended, so a feed goes over two bridges. It reads the
// table by ts, opens a changefeed, and reads once more what came between; what the two have in common is
// delivered once. And since ts is taken before a document can be seen, a token covers the time before it
// (BusOptions.Overlap) with check sums: on a resume a document that has shown up there late is found, and the
// part of a second that it lies in is delivered once more. A document with a ts that lies ahead of the server's clock
// by more than the overlap is garbage: it would have everything until then pass for delivered. Servers whose clocks are set back by more than the
// overlap, or differ by as much, can make a resume miss events.
//
// The order is that of ts when the past is read, and that of the changefeed later: RethinkDB promises none
// between documents, and Caps.Ordered is not claimed.
//
// # Connections
//
// Queries are written with rethinkdb-go, the wire is this package's own: that client's log-in cannot be given a
// deadline, closing a changefeed can wait on itself for ever, a reply may be as large as its header says, and
// queries are sent again behind the caller's back. A bus has one connection for what it publishes and one for
// each feed.
package rethinkdb
