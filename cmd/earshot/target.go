package main

import (
	"net/netip"
	"net/url"
	"strings"
)

const (
	defaultURL  = "http://127.0.0.1:8125/debug/earshot/"
	defaultPath = "/debug/earshot/"
)

// target returns the URL of the tap page that is meant. Its path ends with a slash, so that a page's
// name can be resolved against it.
func (a *app) target() (*url.URL, error) {
	text, from := a.url, "--url"
	if text == "" {
		text, from = a.env("EARSHOT_URL"), "EARSHOT_URL"
	}
	if text == "" {
		text = defaultURL
	}
	u, err := parseTarget(text)
	if err != nil {
		return nil, fail(exitUsage, "it looks like "+defaultURL+", or host:port", "%s: %v", from, err)
	}
	return u, nil
}

// parseTarget takes a URL, host:port, :port or port.
func parseTarget(text string) (*url.URL, error) {
	bare := !strings.Contains(text, "://")
	if bare {
		switch {
		case strings.HasPrefix(text, ":"):
			text = "127.0.0.1" + text
		case strings.Trim(text, "0123456789") == "":
			text = "127.0.0.1:" + text
		}
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		// url.Parse repeats the whole URL, in which there may be a password.
		return nil, usage("is not a URL")
	case u.User != nil:
		return nil, usage("has a user or password in it, for everybody to see; put a token into EARSHOT_TOKEN")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, usage("has the scheme \"%s\", not http or https", clean(u.Scheme))
	case u.Hostname() == "":
		return nil, usage("has no host")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, usage("has a query or fragment; filters are arguments of \"earshot tap\"")
	}
	if u.Path == "" || u.Path == "/" && bare {
		u.Path = defaultPath
	} else if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return u, nil
}

// isLoopback reports whether what is sent to u stays on this machine.
func isLoopback(u *url.URL) bool {
	host := u.Hostname()
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
