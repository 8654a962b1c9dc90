package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	dialTimeout  = 3 * time.Second
	pageTimeout  = 15 * time.Second // for a whole page, the server's observing included
	maxPage      = 64 << 20
	maxErrorBody = 64 << 10
)

// A client talks to one tap page.
type client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// client returns a client for the page that the flags and the environment name.
func (a *app) client() (*client, error) {
	base, err := a.target()
	if err != nil {
		return nil, err
	}
	c := &client{base: base, token: a.env("EARSHOT_TOKEN")}
	if strings.ContainsAny(c.token, "\r\n\x00") {
		return nil, usage("EARSHOT_TOKEN contains a line break")
	}
	if c.token != "" && base.Scheme == "http" && !isLoopback(base) {
		a.notef("[earshot] the token goes to %s unencrypted: use https, or a tunnel to the other host", clean(base.Host))
	}
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.DialContext = (&net.Dialer{Timeout: dialTimeout}).DialContext
	tr.ResponseHeaderTimeout = pageTimeout
	tr.MaxIdleConns = 2
	c.http = &http.Client{
		Transport: tr,
		// A page that has moved within its host is found; the token is not carried to another one.
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if req.URL.Host != base.Host || req.URL.Scheme != base.Scheme {
				return fmt.Errorf("it redirects to another place, %s", clean(req.URL.Redacted()))
			}
			if len(via) > 3 {
				return errors.New("it redirects in a circle")
			}
			return nil
		},
	}
	return c, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// request makes a request for the page of the given name.
func (c *client) request(ctx context.Context, method, name string, q url.Values, body io.Reader) (*http.Request, error) {
	u := c.base.ResolveReference(&url.URL{Path: name})
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "earshot")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// do sends a request. What it returns has a status below 300; everything else is an error.
func (c *client) do(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.connectError(req.Context(), err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	return nil, c.statusError(resp, body)
}

// get returns a page's JSON twin.
func (c *client) get(ctx context.Context, name string, q url.Values) (*page, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pageTimeout, errPageTimeout)
	defer cancel()
	req, err := c.request(ctx, http.MethodGet, name+".json", q, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
	if err != nil {
		return nil, c.connectError(ctx, err)
	}
	if len(raw) > maxPage {
		return nil, fail(exitFailed, "", "%s.json is larger than %d MiB", name, maxPage>>20)
	}
	p, err := parsePage(raw)
	if err != nil {
		return nil, c.notOurs(err.Error())
	}
	return p, nil
}

var errPageTimeout = fmt.Errorf("no answer within %v", pageTimeout)

// connectError says why there was no answer.
func (c *client) connectError(ctx context.Context, err error) error {
	var sig interrupted
	if errors.As(context.Cause(ctx), &sig) {
		return sig
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // the URL is said once, by us
	}
	hint := "is the program running, and the page mounted there? --url or EARSHOT_URL names another place"
	what := err.Error()
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		what = "nothing listens there"
		if c.base.String() == defaultURL {
			hint = "start a program that mounts the page, or \"earshot demo\"; --url or EARSHOT_URL names another place"
		}
	case errors.As(err, &record), strings.Contains(what, "server gave HTTP response to HTTPS client"):
		what, hint = "it does not speak TLS", "try http:// instead of https://"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(context.Cause(ctx), errPageTimeout):
		what = errPageTimeout.Error()
	case strings.Contains(what, "redirects"):
		hint = "name the page's own URL with --url"
	}
	return fail(exitConnect, hint, "cannot connect to %s: %s", c.base.Redacted(), what)
}

func (c *client) notOurs(why string) error {
	return fail(exitFailed, "the URL must be that of the tap page, as "+defaultURL, "%s answers, but not as a tap page: %s", c.base.Redacted(), why)
}

// A serverError is what the server says in JSON when it refuses or fails.
type serverError struct {
	Error  string
	Hint   string
	Filter *struct{ Message, Hint, Caret string }
}

// statusError turns a status that is not OK into what the user should read.
func (c *client) statusError(resp *http.Response, body []byte) error {
	var se serverError
	ours := json.Unmarshal(body, &se) == nil && se.Error != ""
	if ours && se.Filter != nil {
		what, hint := cmp.Or(se.Filter.Caret, se.Filter.Message, se.Error), cmp.Or(se.Filter.Hint, se.Hint)
		if strings.Contains(what, hint) { // the text with the caret may have it
			hint = ""
		}
		return fail(exitUsage, hint, "%s", what)
	}
	what := se.Error
	if !ours {
		what = fmt.Sprintf("the answer is %s", clean(resp.Status))
		if text := bytes.TrimSpace(body); len(text) > 0 && len(text) < 200 && text[0] != '<' {
			what += ": " + string(text)
		}
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		hint := se.Hint
		if hint == "" {
			hint = "EARSHOT_TOKEN is sent as a bearer token; who may look is decided by tap.Options.Allow of the program"
		}
		return fail(exitRefused, hint, "refused by %s: %s", c.base.Host, what)
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return fail(exitUsage, se.Hint, "%s", what)
	case http.StatusNotFound:
		if !ours {
			return c.notOurs(what)
		}
		return &notFound{failure{exitFailed, what, se.Hint}}
	}
	return fail(exitFailed, se.Hint, "%s: %s", c.base.Redacted(), what)
}

// A notFound is a failure that somebody may want to act on: show tries a channel, then a subscriber.
type notFound struct{ failure }

func (n *notFound) Unwrap() error { return &n.failure }
