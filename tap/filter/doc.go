// Package filter is the small language in which people say which events they want to see: the same
// on the tap page, on the command line and in Go.
//
//	chan:orders.* type:OrderPaid amount>100 -chan:orders.test rate:50/s
//
// A filter is a list of terms with blanks between them. All of them must hold, and the empty filter
// lets everything through. A minus sign before a term turns it round.
//
//	chan:orders.*      the channel's name: * is any run of characters without a dot, ** as a part of
//	                   its own is one or more parts. Several chan: terms are alternatives, -chan:
//	                   takes away. The server's own channels match only what begins with "earshot."
//	type:OrderPaid     the event's type, also with its package: shop.OrderPaid, shop.*
//	amount>100         a field: > >= < <= = != against a value, ~ and !~ against a regular
//	customer.name~^Mo  expression; dots lead into structs, maps, slices (items.0.price) and JSON
//	paid               text: some string in the event contains it, whatever the case; "in quotes"
//	                   if it has blanks or could be taken for another term
//	/re/               some string in the event matches the regular expression (RE2)
//	err                the event is or has an error, or a field err or error that is not empty
//	rate:50/s          no more than that; also rate:50, /m and /h
//	1/10               one in ten of those that are left
//
// # Values
//
// A value is compared as what the field is. Numbers are exact: an int64 or uint64 never goes through
// a float64; where the field is a float the number is rounded to one first. A [time.Duration] takes
// "20ms" or "1h30m" (and a plain number, in nanoseconds), a [time.Time] takes RFC 3339 or a date,
// meaning its midnight in UTC. true, false and null (nil pointers, maps, slices and interfaces) take
// = and !=. Everything else is text, compared byte by byte; in "quotes", with Go's escapes, a value
// is text whatever it looks like. In a quoted regular expression only \" is special: "a b\d".
//
// A comparison with what does not compare, or with a field that is not there, does not hold. Hence
// != and !~, which are the opposites of = and ~, hold.
//
// Fields of structs are named as in JSON, or failing that ignoring case or by their Go names; keys of
// maps and of JSON objects exactly. Quotes go around unusual names: headers."content.type"=x.
//
// # What a filter does not see
//
// Secret fields and map keys, such as those tagged earshot:"secret" or named password, are as if
// missing, for every kind of term, so that nobody can find out a value by asking. So is a value
// whose type says what to show of it: a [slog.LogValuer], or a string, slice, array or map type with
// a MarshalJSON or MarshalText of its own. (A struct with MarshalJSON is looked into all the same:
// tag what it hides.)
//
// # What it costs
//
// Matching by a field does not allocate, but for maps. Of user code only Error methods are called;
// their panics are contained. text, /re/ and err look at no more than 10,000 values, 32 levels deep,
// and their terms share 1 MiB of text for each event, and regular expressions 4 MiB divided by the
// number of their instructions, which is about their length; what comes after is not seen. Nor is
// JSON within an event (json.RawMessage) that is longer than 64 KiB, or all of it together than 256.
package filter
