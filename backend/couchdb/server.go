package couchdb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/earshot-go/earshot/bus"
)

const (
	dialTimeout = 2 * time.Second
	// answerBytes is how long an answer may be that is read as a whole. The longest are those of _bulk_docs, with
	// some 150 bytes for each document.
	answerBytes = 4 << 20
)

var errNoAnswer = fmt.Errorf("%w: no answer in time", bus.ErrDisconnected)

// A server is the HTTP side of a database.
type server struct {
	base    string
	user    *url.Userinfo
	timeout time.Duration
	calls   http.Client // what is asked and answered, over a pool of connections
	feeds   http.Client // what is answered without end, each over a connection of its own
}

func newServer(a address) *server {
	dialer := &net.Dialer{Timeout: dialTimeout}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetWriteBuffer(held) // a wish
			}
			return c, err
		},
		TLSClientConfig:     a.TLS.Clone(),
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     30 * time.Second,
		// A compressed feed comes when the compressor has a block, which can take for ever.
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	once := transport.Clone()
	once.DisableKeepAlives = true
	// A redirected POST would come as a GET, or bring the password to somebody else.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &server{
		base: a.base, user: a.user, timeout: a.Timeout,
		calls: http.Client{Transport: transport, CheckRedirect: stay},
		feeds: http.Client{Transport: once, CheckRedirect: stay},
	}
}

// forget closes connections that are not in use.
func (s *server) forget() { s.calls.CloseIdleConnections() }

// open sends a request and returns the answer with its body still to be read. moved is called when a piece of the
// body goes out, with what is left; it may be nil.
func (s *server) open(ctx context.Context, over *http.Client, method, path string, body []byte, moved func(left int)) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("this makes no request: " + method + " " + path)
	}
	if moved != nil {
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(pieces(bytes.NewReader(body), moved)), nil }
		r.Body, _ = r.GetBody()
	}
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	// Everything that is sent here may be sent twice. The key tells the transport so, which then tries another
	// connection by itself when one from its pool turns out to be dead; an empty one is not sent.
	r.Header["Idempotency-Key"] = []string{}
	if s.user != nil {
		password, _ := s.user.Password()
		r.SetBasicAuth(s.user.Username(), password)
	}
	answer, err := over.Do(r)
	if err != nil {
		return nil, s.broken(ctx, err)
	}
	return answer, nil
}

// do sends a request and reads the answer.
func (s *server) do(ctx context.Context, method, path string, body []byte) (status int, text []byte, err error) {
	return s.exchange(ctx, method, path, body, nil)
}

func (s *server) exchange(ctx context.Context, method, path string, body []byte, moved func(left int)) (status int, text []byte, err error) {
	answer, err := s.open(ctx, &s.calls, method, path, body, moved)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err = io.ReadAll(io.LimitReader(answer.Body, answerBytes+1))
	if err != nil {
		return 0, nil, s.broken(ctx, err)
	}
	if len(text) > answerBytes {
		return 0, nil, fmt.Errorf("%w: the answer has more than %d bytes", bus.ErrDisconnected, answerBytes)
	}
	return answer.StatusCode, text, nil
}

// broken is the error of a wire that does not carry.
func (s *server) broken(ctx context.Context, err error) error {
	// What is in the pool has gone through the same wire, and will not be better.
	s.forget()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fmt.Errorf("%w: %w", bus.ErrDisconnected, err)
}

// decode reads a JSON answer.
func decode(text []byte, to any) error {
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("%w: what answers is not CouchDB: %s", bus.ErrDisconnected, short(text))
	}
	return nil
}

// refusal is the error of an answer with a status that was not wanted.
func refusal(status int, text []byte) error {
	var said struct{ Error, Reason string }
	why := short(text)
	if json.Unmarshal(text, &said) == nil && said.Error != "" {
		why = said.Error + ": " + said.Reason
	}
	err := fmt.Errorf("HTTP status %d: %s", status, why)
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %w", bus.ErrDenied, err)
	case http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w: %w", bus.ErrTooLarge, err)
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("%w: %w", bus.ErrDisconnected, err) // a proxy, whose server is not there
	}
	return err
}

func short(text []byte) string {
	s := strings.ToValidUTF8(string(text[:min(len(text), 200)]), "?")
	return fmt.Sprintf("%.120q", strings.TrimSpace(s))
}
