package fields

import (
	"strings"
	"unicode/utf8"
)

// secretParts make a name secret wherever they stand in it: "user_password", "X-Api-Key". They are
// written without what separates words, in lower case.
var secretParts = [...]string{
	"password", "passwd", "passphrase", "passcode", "secret", "token", "apikey", "authorization",
	"cookie", "credential", "privatekey", "accesskey", "signingkey", "encryptionkey", "bearer",
}

// secretNames make a name secret if they are all of it. As parts they would hide too much: "author",
// "compass", "pinned".
var secretNames = [...]string{"pwd", "pass", "auth", "jwt", "pin", "otp", "cvv", "cvc"}

// SecretKey reports whether a field or map key of this name is taken for a secret: it is on a list
// of such names or has one of them in it, whatever its case, and whether its words are written
// apiKey, api_key, api-key, "api key" or api.key. It does not allocate.
func SecretKey(name string) bool {
	for i := range len(name) {
		if c, _ := letter(name[i:]); c == 0 {
			continue // between two words
		}
		for _, w := range secretParts {
			if _, ok := begins(name[i:], w); ok {
				return true
			}
		}
	}
	for _, w := range secretNames {
		if rest, ok := begins(name, w); ok && strings.Trim(rest, "_- .:") == "" {
			return true
		}
	}
	return false
}

// begins reports whether name begins with the letters of word, and what comes after them.
func begins(name, word string) (rest string, ok bool) {
	for word != "" {
		if name == "" {
			return "", false
		}
		c, size := letter(name)
		if c != 0 {
			if c != word[0] {
				return "", false
			}
			word = word[1:]
		}
		name = name[size:]
	}
	return name, true
}

// letter returns the first character of name in lower case, 0 if it only separates words, and how
// many bytes it takes.
func letter(name string) (c byte, size int) {
	c = name[0]
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A', 1
	case c == '_', c == '-', c == ' ', c == '.', c == ':':
		return 0, 1
	case c < utf8.RuneSelf:
		return c, 1
	}
	// Two letters beyond ASCII are a k and an s to whoever ignores case, encoding/json among them.
	switch r, size := utf8.DecodeRuneInString(name); r {
	case '\u212a':
		return 'k', size
	case '\u017f':
		return 's', size
	default:
		return 0xff, size // no letter of any word
	}
}
