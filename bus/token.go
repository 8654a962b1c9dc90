package bus

import (
	"fmt"
	"strings"
)

// A Token is a position in a stream, as an engine writes it. Keep it, as text, to go on there another day; no
// other use of it is meaningful. It names the engine and the stream's epoch: a stream that was made anew
// refuses the tokens of the old one.
type Token string

// MakeToken is for engines. The epoch identifies this very stream and is drawn when it is made; position means
// something to the engine alone and may contain any character. Epoch and engine contain no colon.
func MakeToken(engine, epoch, position string) Token {
	return Token("v1:" + engine + ":" + epoch + ":" + position)
}

// Position is for engines. It returns the part of the token that they wrote, or an error that wraps
// ErrForeignToken and says how the token does not fit.
func (t Token) Position(engine, epoch string) (string, error) {
	parts := strings.SplitN(string(t), ":", 4)
	switch {
	case len(parts) != 4 || parts[0] != "v1":
		return "", fmt.Errorf("%w: %.40q is none of this version", ErrForeignToken, string(t))
	case parts[1] != engine:
		return "", fmt.Errorf("%w: it is of the engine %q, this is %q", ErrForeignToken, parts[1], engine)
	case parts[2] != epoch:
		return "", fmt.Errorf("%w: the stream was made anew since, or is another one (epoch %s, now %s)", ErrForeignToken, parts[2], epoch)
	}
	return parts[3], nil
}
