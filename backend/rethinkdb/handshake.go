package rethinkdb

import (
	"bufio"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gopkg.in/rethinkdb/rethinkdb-go.v6/ql2"

	"github.com/earshot-go/earshot/bus"
)

// A login is who wants to connect. The log-in is RethinkDB's V1_0: SCRAM-SHA-256 in JSON, each message ended by
// a zero byte.
type login struct {
	user, password string
}

// greeting is what the server answers at each step.
type greeting struct {
	Success        bool   `json:"success"`
	ServerVersion  string `json:"server_version"` // only the first; RethinkDB 2.3 and later say it
	Authentication string `json:"authentication"`
	Code           int    `json:"error_code"`
	Error          string `json:"error"`
}

// handshake logs in and returns the version of the server, empty if it does not say.
func (l login) handshake(out io.Writer, in *bufio.Reader) (version string, err error) {
	user := l.user
	if user == "" {
		user = "admin"
	}
	nonce := rand.Text()
	first := "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user) + ",r=" + nonce
	hello := binary.LittleEndian.AppendUint32(nil, uint32(ql2.VersionDummy_V1_0))
	hello = appendMessage(hello, map[string]any{
		"protocol_version":      0,
		"authentication_method": "SCRAM-SHA-256",
		"authentication":        "n,," + first,
	})
	if _, err := out.Write(hello); err != nil {
		return "", lost("log in", err)
	}
	g, err := readGreeting(in)
	if err != nil {
		return "", err
	}
	version = g.ServerVersion
	if g, err = readGreeting(in); err != nil {
		return "", err
	}

	server := fields(g.Authentication)
	rounds, err := strconv.Atoi(server["i"])
	salt, err2 := base64.StdEncoding.DecodeString(server["s"])
	switch {
	case err != nil || err2 != nil || rounds < 1:
		return "", strange("its log-in has no salt or no count of rounds")
	case rounds > 1<<20: // a server could keep the processor busy for hours
		return "", strange(fmt.Sprintf("its log-in wants %d rounds", rounds))
	case !strings.HasPrefix(server["r"], nonce) || len(server["r"]) == len(nonce):
		return "", strange("its nonce does not continue the client's")
	}
	salted, err := pbkdf2.Key(sha256.New, l.password, salt, rounds, sha256.Size)
	if err != nil {
		return "", err
	}
	last := "c=biws,r=" + server["r"]
	signed := first + "," + g.Authentication + "," + last
	key := mac(salted, "Client Key")
	stored := sha256.Sum256(key)
	proof := mac(stored[:], signed)
	for i := range proof {
		proof[i] ^= key[i]
	}
	answer := appendMessage(nil, map[string]any{
		"authentication": last + ",p=" + base64.StdEncoding.EncodeToString(proof),
	})
	if _, err := out.Write(answer); err != nil {
		return "", lost("log in", err)
	}
	if g, err = readGreeting(in); err != nil {
		return "", err
	}
	v, err := base64.StdEncoding.DecodeString(fields(g.Authentication)["v"])
	if err != nil || !hmac.Equal(v, mac(mac(salted, "Server Key"), signed)) {
		return "", strange("it does not know the password itself")
	}
	return version, nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func appendMessage(to []byte, message map[string]any) []byte {
	text, err := json.Marshal(message)
	if err != nil {
		panic(err) // strings and a number
	}
	return append(append(to, text...), 0)
}

// fields takes "r=…,s=…,i=…" apart.
func fields(text string) map[string]string {
	m := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		if k, v, ok := strings.Cut(part, "="); ok {
			m[k] = v
		}
	}
	return m
}

func readGreeting(in *bufio.Reader) (g greeting, err error) {
	line, err := in.ReadSlice(0) // the reader's buffer is the limit of a message
	if errors.Is(err, bufio.ErrBufferFull) {
		return g, strange("a log-in message without an end")
	} else if err != nil {
		return g, lost("log in", err)
	}
	line = line[:len(line)-1]
	if err := json.Unmarshal(line, &g); err != nil {
		return g, strange(fmt.Sprintf("its log-in begins with %.60q", line))
	}
	switch {
	case g.Success:
		return g, nil
	case g.Code >= 10 && g.Code <= 20:
		return g, fmt.Errorf("rethinkdb: log in: %w: %s", bus.ErrDenied, clip(g.Error))
	}
	return g, fmt.Errorf("rethinkdb: log in: the server answers: %s", clip(g.Error))
}

func strange(what string) error {
	return lost("log in", errors.New("this is no RethinkDB: "+what))
}
