// Package redis carries events over a Redis Stream, and keeps queues in a Redis server: a [Bus] that keeps what was
// published, for as long as its retention says, and lets every process read it from any position; and a [Store] of
// durable work. It needs Redis 7.0 or later, or something that speaks like it, with the commands of streams for the one
// and Lua scripts for the other.
//
//	b, err := bus.Open("redis://user:secret@127.0.0.1:6379/0?stream=shop")
//	s, err := queue.Open("redis://user:secret@127.0.0.1:6379/0?namespace=shop&durable=true")
//
// The schemes are redis, rediss (TLS) and redis+unix ("redis+unix:///run/redis.sock?db=0&stream=shop"). The query has
// what [BusOptions] has: stream, keep, keepfor, maxbytes; or what [StoreOptions] has: namespace, maxbytes, durable. What
// it says goes before the options.
//
// # The stream of a bus
//
// One key, the stream. Each entry has one field, e, with the event as CloudEvents JSON, so that other programs can
// read it and can publish with
//
//	XADD shop * e '{"specversion":"1.0","id":"1","source":"/shell","type":"user.added"}'
//
// Entries without an event are skipped, and counted by [Bus.Garbage].
//
// The stream carries a consumer group named earshot.epoch that nobody reads with. Its last-delivered-id is a random
// number: the identity of this very stream, which is in every token. It comes with the first feed and goes with the
// key, by DEL, FLUSHALL or a restart of a server that keeps nothing: then feeds that are open, and tokens of that
// time, answer bus.ErrForeignToken. To destroy the group alone has the same effect. There is no second key that
// could be lost or left over, and all of it lives in one slot of a cluster.
//
// # What to know of a bus
//
// Publish sends its events in transactions of some hundred: each is accepted whole or not at all. An event that is
// published again is kept again: to find copies in the server cost half of the rate of publishing (a set of IDs for
// each minute, asked in a script: 200,000 events per second in place of 375,000), so [bus.Caps] does not claim
// Dedupe. Package emitter drops the copies.
//
// bus.At goes by the clock of the server, in milliseconds: it may bring events of the same millisecond that came a
// little earlier.
//
// Retention is approximate (MAXLEN ~, MINID ~): the server removes whole nodes of about a hundred entries, when
// events are published. A feed that was overtaken by it gets a *bus.GapError with the number of events that it
// missed; so does one whose events were deleted one by one, with XDEL.
//
// The server should run with maxmemory-policy noeviction, otherwise it may evict the stream when memory is short.
// A user of an ACL needs +xadd +xread +xinfo +xgroup +xlen +xtrim +multi +exec on the key, and should
// have +info +config|get +time, without which the bus claims no durability.
//
// # The keys of a store
//
// All begin with earshot:queue:{namespace}: so that they are in one slot of a cluster. An item is a record, which other
// programs may read, and a body, in a hash of all items; sorted sets say which are due, by queue and priority, leased,
// or dead, and have all of a queue and of a TID. It is some 900 bytes for an item with a payload of 200. lua/prelude.lua
// in the source says what is where. Nothing but scripts of this package may write there.
//
// # What to know of a store
//
// Each call is one script, in one round trip: it is done as a whole or not at all. Calls at the same time go together.
// A script takes the server 10 to 20 µs for each item, in which it serves nobody else: a batch of 1,000 is some 10 ms.
// None looks at more items than it is asked for, however many there are; but to find by Name alone looks at all, a
// thousand at a time.
//
// The time is the server's, in microseconds. Items that are due before 1684 or after 2255, and at the same time but for
// some microseconds, come in the order in which they were enqueued.
//
// What a restart takes away is up to the configuration of the server: see StoreOptions.Durable. Replication is
// asynchronous: a failover may lose what was answered just before, and give again what was done. The server should run
// with maxmemory-policy noeviction. When its memory is full Enqueue answers queue.ErrFull, and the rest works.
//
// A user of an ACL needs, on the keys and channels earshot:queue:{namespace}:*, the categories +@hash +@sortedset
// +@scripting, and +exists +hello +time +publish +subscribe +ping; and for durable +info and +config|get.
package redis
