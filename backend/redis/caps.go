package redis

import (
	"strings"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// Caps says what the bus promises. Durable is false until the server has been asked, which Publish and Tail do
// whenever they connect. It does not block.
func (b *Bus) Caps() bus.Caps { return *b.caps.Load() }

// least is what the bus promises before it has met the server.
func (b *Bus) least() bus.Caps {
	return bus.Caps{
		Engine:       engine,
		Replay:       true,
		Ordered:      true,
		MultiProcess: true,
		MaxBytes:     b.opts.MaxBytes,
		Note:         "Not connected yet: whether the server keeps anything over a restart is not known.",
	}
}

// learn notes what the server has said of itself.
func (b *Bus) learn(f facts) error {
	c := b.least()
	var note []string
	c.Durable, note = f.durable()
	if f.evicts() != "" {
		note = append(note, "maxmemory-policy is "+f.evicts()+": the server may drop the stream when memory is short. Set noeviction.")
	}
	c.Note = strings.Join(note, " ")
	b.caps.Store(&c)
	if !f.clock.IsZero() {
		b.ahead.Store(int64(time.Until(f.clock)))
	}
	return nil
}

// facts are what a server says of itself: sections of INFO, one value of its configuration, and its clock. What is
// empty or zero the user may not ask.
type facts struct {
	persistence, memory, replication, fsync string
	clock                                   time.Time
}

// durable reports whether the server has written what it has accepted before it answers, so that a kill does not lose
// it, and what else there is to say of that.
func (f facts) durable() (yes bool, note []string) {
	add := func(s string) { note = append(note, s) }
	switch aof := field(f.persistence, "aof_enabled"); {
	case aof == "":
		add("The server does not say whether it keeps anything over a restart: give the user +info.")
	case aof != "1":
		add("The server has no append-only file: a restart loses what came since the last snapshot, or everything. Set appendonly yes.")
	default:
		// With everysec the server answers before it has written, if a sync is under way at that moment and takes less
		// than 2 s (redis: aof.c, flushAppendOnlyFile). With the others it writes first, always.
		yes = f.fsync == "always" || f.fsync == "no"
		switch f.fsync {
		case "always":
			add("The server syncs to disk before it answers.")
		case "everysec":
			add("The server syncs to disk every second: a loss of power may take the last second or two, and so may a kill while the disk is slow, so that it does not count as durable: set appendfsync always.")
		case "no":
			add("The server leaves it to the system when to sync to disk: a loss of power may take half a minute.")
		default:
			add("The server does not say how it syncs to disk: give the user +config|get. A loss of power may take what was not synced to disk, one second by default.")
		}
	}
	if field(f.replication, "role") == "slave" {
		add("This server is a replica, and accepts nothing.")
	} else if n := field(f.replication, "connected_slaves"); n != "" && n != "0" {
		add("Replication is asynchronous: a failover may lose what was accepted just before.")
	}
	return yes, note
}

// evicts returns the policy by which the server drops keys when memory is short, or "" if it does not.
func (f facts) evicts() string {
	if policy := field(f.memory, "maxmemory_policy"); policy != "noeviction" && field(f.memory, "maxmemory") != "0" {
		return policy
	}
	return ""
}

// field returns a value of INFO.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if key, v, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok && key == name {
			return v
		}
	}
	return ""
}
