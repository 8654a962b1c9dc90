package bus

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

const escapes = "what is no letter or digit in a user, a password, a path or a value is written as %xx: %40 for @, %2F for /, %3A for :, %3F for ?, %23 for # and %25 for %"

// ParseURL is for engines. It takes the URL of a bus apart, which has one of the schemes (if not: ErrScheme) and a query
// that can be read. A password in which a character is not escaped makes a URL whose parts begin and end in the wrong
// places: an "@" behind the host is a mistake for that reason. Its errors show the scheme and nothing else.
func ParseURL(address string, schemes ...string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("not a URL: " + escapes)
	}
	if !slices.Contains(schemes, u.Scheme) {
		return nil, fmt.Errorf("%w %q: it is not of this engine, which has %s", ErrScheme, u.Scheme, strings.Join(schemes, ", "))
	}
	if misplaced(u) {
		return nil, errors.New("an @ stands behind the place of user, password and host: " + escapes)
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return nil, errors.New("the query cannot be read, it is not of the form key=value&key=value: " + escapes)
	}
	return u, nil
}

// ReadQuery is for engines. It sets flags, which stand for their options, to what the query of a URL says. A name
// that is no flag, and a value that does not fit, are errors that say what there is. Of a name that stands twice the
// last value holds.
//
//	fs := flag.NewFlagSet("redis", flag.ContinueOnError)
//	fs.IntVar(&o.Keep, "keep", o.Keep, "")
//	err := bus.ReadQuery(fs, u.Query())
func ReadQuery(fs *flag.FlagSet, query url.Values) error {
	for name, values := range query {
		value := values[len(values)-1]
		if fs.Lookup(name) == nil {
			var known []string
			fs.VisitAll(func(f *flag.Flag) { known = append(known, f.Name) })
			return fmt.Errorf("unknown key %q in the query: there are %s", name, strings.Join(known, ", "))
		}
		if err := fs.Set(name, value); err != nil {
			return fmt.Errorf("%s=%q in the query: %w", name, value, err)
		}
	}
	return nil
}
