package rethinkdb_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A fake is a server that checks passwords, which the one in memory does not, and answers what a test says.
type fake struct {
	address  string
	password string
	version  string
	rounds   int
	forged   bool // it does not know the password, and lets everybody in
	// answer returns what goes out for a query; nil answers null.
	answer func(query string) []byte
	wg     sync.WaitGroup
}

// serve starts it, until the end of the test.
func (f *fake) serve(t testing.TB) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f.address = l.Addr().String()
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	f.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			f.wg.Go(func() {
				defer c.Close()
				f.talk(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		f.wg.Wait()
	})
	return f
}

func (f *fake) talk(c net.Conn) {
	in := bufio.NewReader(c)
	say := func(m map[string]any) { text, _ := json.Marshal(m); c.Write(append(text, 0)) }
	if _, err := io.ReadFull(in, make([]byte, 4)); err != nil {
		return
	}
	say(map[string]any{"success": true, "min_protocol_version": 0, "max_protocol_version": 0, "server_version": f.version})
	first := auth(in)
	bare := strings.TrimPrefix(first, "n,,")
	_, nonce, _ := strings.Cut(bare, ",r=")
	salt := []byte("sixteen bytes ok")
	challenge := fmt.Sprintf("r=%sSERVER,s=%s,i=%d", nonce, base64.StdEncoding.EncodeToString(salt), f.rounds)
	say(map[string]any{"success": true, "authentication": challenge})
	last := auth(in)
	without, proof, ok := strings.Cut(last, ",p=")
	if !ok {
		return
	}
	salted, _ := pbkdf2.Key(sha256.New, f.password, salt, f.rounds, 32)
	key := sign(salted, "Client Key")
	stored := sha256.Sum256(key)
	message := bare + "," + challenge + "," + without
	want := sign(stored[:], message)
	for i := range want {
		want[i] ^= key[i]
	}
	if base64.StdEncoding.EncodeToString(want) != proof && !f.forged {
		say(map[string]any{"success": false, "error_code": 12, "error": "Wrong password"})
		return
	}
	if f.forged {
		message = "a guess"
	}
	say(map[string]any{"success": true, "authentication": "v=" + base64.StdEncoding.EncodeToString(sign(sign(salted, "Server Key"), message))})
	for {
		var head [12]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		query := make([]byte, binary.LittleEndian.Uint32(head[8:]))
		if _, err := io.ReadFull(in, query); err != nil {
			return
		}
		out := []byte(`{"t":1,"r":[null]}`)
		if f.answer != nil {
			if raw := f.answer(string(query)); raw != nil {
				out = raw
			}
		}
		if string(out) == "lie" {
			binary.LittleEndian.PutUint32(head[8:], 100<<20)
			c.Write(append(head[:], "{"...))
			return
		}
		if string(out) == "huge" {
			binary.LittleEndian.PutUint32(head[8:], 0xffffffff)
			c.Write(head[:])
			continue
		}
		binary.LittleEndian.PutUint32(head[8:], uint32(len(out)))
		c.Write(append(head[:], out...))
	}
}

func sign(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// auth reads the authentication of one message.
func auth(in *bufio.Reader) string {
	var m struct{ Authentication string }
	line, err := in.ReadBytes(0)
	if err == nil {
		_ = json.Unmarshal(line[:len(line)-1], &m)
	}
	return m.Authentication
}
