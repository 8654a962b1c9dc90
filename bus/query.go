package bus

import (
	"flag"
	"fmt"
	"net/url"
	"strings"
)

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
