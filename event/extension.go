package event

import "maps"

// Names of extensions that CloudEvents documents and earshot uses.
const (
	CausationID   = "causationid"   // correlation: the ID of the event that caused this one
	CorrelationID = "correlationid" // correlation: the same for all events of one story
	TraceParent   = "traceparent"   // distributed tracing: the header of W3C Trace Context
	PartitionKey  = "partitionkey"  // partitioning: events of one key stay in order
	Sequence      = "sequence"      // sequence: a place among the events of one source, ordered as text
	ExpiryTime    = "expirytime"    // expiry time: after it the event is of no interest, in RFC 3339
)

// wellKnown is string(name), without an allocation for the names above.
func wellKnown(name []byte) string {
	switch string(name) {
	case CausationID:
		return CausationID
	case CorrelationID:
		return CorrelationID
	case TraceParent:
		return TraceParent
	case PartitionKey:
		return PartitionKey
	case Sequence:
		return Sequence
	case ExpiryTime:
		return ExpiryTime
	}
	return string(name)
}

// Extension returns the text of an extension, or "" if there is none: as CloudEvents writes it where all is
// text, with base64 for bytes and RFC 3339 for times. It is the same before and after the event has travelled.
func (e Event) Extension(name string) string {
	value := e.Extensions[name]
	if s, ok := value.(string); ok {
		return s
	}
	return string(appendValue(nil, value))
}

// SetExtension sets an extension, or removes it if value is nil. The map is replaced and not changed, so copies
// of the event keep what they have. What may be a name and a value, Validate says.
func (e *Event) SetExtension(name string, value any) {
	m := maps.Clone(e.Extensions)
	if value == nil {
		delete(m, name)
	} else {
		if m == nil {
			m = make(map[string]any, 1)
		}
		m[name] = value
	}
	e.Extensions = m
}
