package tap

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Access is what somebody who looks at the page may do.
type Access uint8

const (
	Look     Access = 1 << iota // see names, counters, types and sizes; the others imply it
	Payloads                    // see what is inside of events, and filter by it
	Emit                        // send events
)

// String says it in words, as on the page.
func (a Access) String() string {
	switch {
	case a&Look == 0:
		return "no access"
	case a&Emit != 0 && a&Payloads != 0:
		return "may emit, payloads shown"
	case a&Emit != 0:
		return "may emit, payloads hidden"
	case a&Payloads != 0:
		return "read-only, payloads shown"
	}
	return "read-only, payloads hidden"
}

// Loopback returns a function for [Options.Allow] that gives access a to programs on this machine, and
// none to others: the client's address and the Host must be of the loopback network (or the listener a
// Unix socket), and there must be no sign of a proxy. The Host is looked at because a foreign page could
// otherwise reach the server by a name of its own that resolves to 127.0.0.1.
//
// It cannot tell a reverse proxy that adds no header, and lets everybody who has a shell on the machine
// in.
func Loopback(a Access) func(*http.Request) Access {
	return func(r *http.Request) Access {
		if notLocal(r) != "" {
			return 0
		}
		return a
	}
}

// notLocal says what about a request is not of this machine, or nothing.
func notLocal(r *http.Request) string {
	for name := range r.Header {
		if isProxyHeader(name) {
			return "the request came through a proxy (" + name + ")"
		}
	}
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && addr.Network() == "unix" {
		return ""
	}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !ap.Addr().Unmap().IsLoopback() {
		return "the client is not on this machine"
	}
	if !loopbackHost(r.Host) {
		return "the Host is not a loopback name"
	}
	return ""
}

// isProxyHeader reports whether only a proxy, or somebody who pretends to be one, sets the header.
func isProxyHeader(name string) bool {
	name = http.CanonicalHeaderKey(name)
	switch name {
	case "Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Forwarded-For", "X-Original-Host",
		"X-Original-Url", "X-Originating-Ip", "X-Remote-Ip", "X-Remote-Addr", "X-Proxyuser-Ip", "X-Appengine-User-Ip",
		"X-Azure-Clientip", "X-Azure-Socketip", "True-Client-Ip", "Cf-Connecting-Ip", "Cf-Ray", "Cdn-Loop", "Fastly-Client-Ip",
		"Fly-Client-Ip", "Client-Ip", "Proxy-Client-Ip", "Wl-Proxy-Client-Ip":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded") || strings.HasPrefix(name, "X-Envoy-")
}

func loopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// foreign says why a request looks like one that another site made in a browser, or nothing. A link from
// elsewhere to a page is fine: who follows it sees the page, and the other site does not.
func foreign(r *http.Request) string {
	if origins := r.Header.Values("Origin"); len(origins) > 0 {
		u, err := url.Parse(origins[0])
		if len(origins) > 1 || err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") ||
			!strings.EqualFold(u.Host, r.Host) {
			return "the request comes from another origin"
		}
	}
	link := (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	if site := r.Header.Get("Sec-Fetch-Site"); !link && (site == "cross-site" || site == "same-site") {
		return "the request comes from another site"
	}
	return ""
}

// refuse says why a request is refused, and what could be done about it; nothing if it is allowed.
func (p *Page) refuse(r *http.Request) (a Access, what, hint string) {
	a = p.allow(r)
	if a&Look == 0 {
		what, hint = "not allowed", "tap.Options.Allow says no to this request"
		if p.opts.Allow == nil {
			what = notLocal(r)
			hint = "by default only programs on this machine may look; tap.Options.Allow decides otherwise"
		}
		return 0, what, hint
	}
	if what = foreign(r); what != "" {
		return 0, what, "open the page itself; behind a proxy, have it pass the Host header on"
	}
	return a, "", ""
}

// allow asks Options.Allow. A panic there means no.
func (p *Page) allow(r *http.Request) (a Access) {
	allow := p.opts.Allow
	if allow == nil {
		allow = Loopback(Look)
	}
	defer func() {
		if recover() != nil {
			a = 0
		}
	}()
	if a = allow(r); a != 0 {
		a |= Look
	}
	return a
}
