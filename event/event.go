// Package event is the envelope in which an event leaves its process: CloudEvents 1.0 in structured JSON.
//
// Inside a process events are Go values, and need none of this.
//
// # What survives
//
// What [Event.AppendJSON] writes, [Event.UnmarshalJSON] reads back equal, with these exceptions:
//
//   - Data of a JSON content type is kept byte for byte, so numbers of any size and spelling come through, and
//     so do the order and the repetition of members. Only white space between its tokens is dropped: an event
//     is always one line. Other Data is kept byte for byte.
//   - Data that is empty and not nil is no data, and comes back as nil. JSON's null is data.
//   - Times keep their instant, to the nanosecond, but not their zone: they are written and read in UTC. The
//     zero [time.Time] means that there is none.
//   - JSON has no words for the types of extensions: []byte comes back as a string in base64, time.Time as a
//     string in RFC 3339, int as int32. [Event.Extension] reads the same of all of them.
//   - [encoding/json.Marshal] writes <, > and & inside of strings as \u003c and so on; AppendJSON leaves them alone.
//
// Other libraries for CloudEvents read it. The official one for Go, at version 2.16, refuses two things that the
// specification allows: numbers too large for a float64, and JSON in types such as application/vnd.x+json.
package event

import "time"

// MaxPortable is the size, in bytes of its JSON, up to which an event passes through every engine and every
// intermediary: CloudEvents 1.0 asks for 64 KiB.
const MaxPortable = 64 << 10

// An Event is one thing that happened. ID, Source and Type are required; see [Event.Validate].
type Event struct {
	ID              string         // with Source, it is unique: a copy of an event has the same ID
	Source          string         // who it comes from, a URI reference: "/mailer/4f1c"
	Type            string         // what happened, the name of the event: "user.added"
	Subject         string         // what it happened to: a user, an order; may be empty
	Time            time.Time      // when, by the clock of the source; zero if unknown
	DataContentType string         // what Data is; empty means application/json
	DataSchema      string         // a URI that tells the schema of Data; may be empty
	Data            []byte         // nil if there is none
	Extensions      map[string]any // names of a-z and 0-9; values are string, bool, int32, []byte or time.Time
}
