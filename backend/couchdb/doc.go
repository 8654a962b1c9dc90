// Package couchdb carries earshot's events over CouchDB, and whatever else speaks its protocol: it needs nothing but
// HTTP.
//
//	import _ "github.com/earshot-go/earshot/backend/couchdb"
//
//	b, err := bus.Open("couchdb://user:password@db.example.com:5984/shop")
//
// An event becomes a document, and a feed is the database's _changes. See [OpenBus] for the URL.
//
// # Documents
//
//	{
//	  "_id": "2026-11-20T23:59:59.123456789Z_3f1c…",
//	  "specversion": "1.0", "id": "4711", "source": "/shop", "type": "order.paid", "subject": "order/7", …,
//	  "event_json": "{\"specversion\":\"1.0\",\"id\":\"4711\",…,\"data\":{\"total\":9007199254740993}}"
//	}
//
// The attributes of the event, extensions too, are members of the document, for indexes, Mango queries and views. The
// event as a whole is a text beside them, and that is what feeds read. Servers and replicas in JavaScript change numbers
// that a float64 does not hold, and a server that cannot read a number or a character refuses the whole batch in which it
// comes; text passes everywhere. A view that looks into the data says JSON.parse(doc.event_json).data. Other programs may
// write events too: a document without event_json whose members are those of CloudEvents, data among them, is read as
// an event.
//
// The _id is the time of the event in UTC and a hash of its source and ID. An event that is published again meets its
// own document and is kept once, if ID, source and time are the same. Documents lie in the order of time, so that
// _all_docs?startkey="2026-11-20"&endkey="2026-11-21" is a day. CouchDB stores the documents of one call in the order of
// their _id, and therefore the events of one publisher mostly arrive in the order in which they were published. It does
// not promise that, least of all for a database of several shards, and neither does Caps.
//
// # Positions
//
// Tokens hold the database's own sequences, which are opaque, and the epoch of the database: a random text in the document
// _local/earshot, which is not replicated, because a replica has sequences of its own.
//
// CouchDB has no time of arrival: bus.At begins at the start and leaves out events whose Time is earlier, by the clock
// of their publishers. In a large database that reads all of it.
//
// # Retention
//
// A database keeps events until somebody deletes their documents. A feed that meets the deletion of an event which it
// has not delivered says so with a *bus.GapError. It tells by the time in the _id: deletions of events that are not later
// than the last it has delivered, or than its beginning, are not news. So clocks that differ may hide a gap, events
// without Time are never missed, and cleaning up behind the readers alarms nobody. A feed that goes on after a token
// looks through the changes since then, without documents, before its first event.
//
// Each deletion leaves a tombstone of some hundred bytes in the database and its changes for ever, which Start has to
// read past. Where many events come and go, a database for each month that is dropped as a whole is cheaper: a feed on it
// ends with ErrForeignToken.
package couchdb
