package panel

// A Kind is what the values of a column are. It decides how they are drawn
// and aligned; it never changes the number.
type Kind uint8

const (
	Text    Kind = iota // words: a string, a fmt.Stringer or a Link
	Code                // a name from the program: a channel, a type, a file and line
	Count               // a whole number of any integer type; exact everywhere
	Rate                // events in a second, a float64 or an integer
	Seconds             // a time.Duration; seconds as a number in JSON and metrics
	Time                // a time.Time; the zero time is unknown
	Bytes               // a size, an integer number of bytes
	Flag                // a bool: yes or no, 1 or 0 in metrics
)

var kinds = [...]string{"text", "code", "count", "rate", "seconds", "time", "bytes", "flag"}

// String is the name of the kind: "count".
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return "text"
}

// Number reports whether values of the kind are numbers, which are set flush
// right and sorted from the largest down at the first click.
func (k Kind) Number() bool {
	return k == Count || k == Rate || k == Seconds || k == Bytes
}

// A Status is the state of a page in one word.
type Status uint8

const (
	OK   Status = iota // nothing to do
	Warn               // look at it today
	Bad                // look at it now
)

// String is "ok", "warn" or "bad", as in JSON.
func (s Status) String() string {
	switch s {
	case OK:
		return "ok"
	case Warn:
		return "warn"
	default:
		return "bad"
	}
}

// Worst is the worse one of two, for a page that is made of parts.
func (s Status) Worst(t Status) Status { return max(s, t) }
