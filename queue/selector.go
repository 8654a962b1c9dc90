package queue

import (
	"fmt"
	"regexp"

	"github.com/earshot-go/earshot/internal/pattern"
)

// A Binding gives a queue all events that its selector selects. Bindings are kept in the store.
type Binding struct {
	Queue    string
	Selector Selector
}

// Rev is a revision of the bindings: another one means that they may have changed. To compare for more or less makes
// no sense.
type Rev int64

// A Selector selects events by their names. It is comparable; Name, Pattern, Regexp and All make them.
type Selector struct {
	Kind Kind
	Text string
}

// Kind of a Selector.
type Kind string

const (
	KindName    Kind = "name"
	KindPattern Kind = "pattern"
	KindRegexp  Kind = "regexp"
	KindAll     Kind = "all"
)

// Name selects the events of one name.
func Name(name string) Selector { return Selector{KindName, name} }

// Pattern selects by segments between dots: "user.*" selects user.added and not user.mail.added, "user.**" both.
// It is the grammar of the whole of earshot.
func Pattern(text string) Selector { return Selector{KindPattern, text} }

// Regexp selects the names in which a regular expression, of package regexp, has a match: "^ourapp\\.".
func Regexp(expr string) Selector { return Selector{KindRegexp, expr} }

// All selects every event.
func All() Selector { return Selector{Kind: KindAll} }

// String returns "name user.added", "pattern user.*", "regexp ^ourapp" or "all".
func (s Selector) String() string {
	if s.Kind == KindAll {
		return string(KindAll)
	}
	return string(s.Kind) + " " + s.Text
}

// Compile returns a function that reports whether a name is selected. What is no selector is an error that wraps
// ErrInvalid and says where it is wrong.
func (s Selector) Compile() (func(name string) bool, error) {
	switch s.Kind {
	case KindAll:
		if s.Text != "" {
			return nil, s.wrong("all has no text")
		}
		return func(string) bool { return true }, nil
	case KindName:
		if err := checkName("the name", s.Text, true); err != nil {
			return nil, fmt.Errorf("queue: selector: %w", err)
		}
		return func(name string) bool { return name == s.Text }, nil
	case KindPattern:
		if err := checkName("the pattern", s.Text, true); err != nil {
			return nil, fmt.Errorf("queue: selector: %w", err)
		}
		p, hint := pattern.Parse(s.Text)
		if p == nil {
			return nil, s.wrong(hint + `: a pattern is segments between dots, "*" for one segment and a last "**" for one or more`)
		}
		return p.Match, nil
	case KindRegexp:
		if len(s.Text) > MaxName {
			return nil, s.wrong(fmt.Sprintf("it has %d bytes, the limit is %d", len(s.Text), MaxName))
		}
		re, err := regexp.Compile(s.Text)
		if err != nil {
			return nil, s.wrong(err.Error())
		}
		return re.MatchString, nil
	}
	return nil, s.wrong("the kind is unknown: it is name, pattern, regexp or all")
}

func (s Selector) wrong(why string) error {
	return fmt.Errorf("queue: selector %.80q: %w: %s", s, ErrInvalid, why)
}

// Validate says whether stores take the binding: an error that wraps ErrInvalid says what is wrong.
func (b *Binding) Validate() error {
	if err := checkName("Queue", b.Queue, true); err != nil {
		return fmt.Errorf("queue: binding: %w", err)
	}
	if err := checkName("the selector", b.Selector.Text, false); err != nil {
		return fmt.Errorf("queue: binding: %w", err) // it has to be stored
	}
	_, err := b.Selector.Compile()
	return err
}
