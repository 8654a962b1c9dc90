package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var checkups = []checkup{
	{"connection", checkConnection},
	{"token", checkToken},
	{"who is let in", checkExposure},
	{"other sites", checkForeign},
	{"headers", checkHeaders},
	{"clock", checkClock},
	{"version", checkVersion},
	{"streaming", checkStream},
	{"slow subscribers", checkSlow},
	{"lost events", checkLost},
	{"memory", checkUnbounded},
	{"types", checkMismatched},
	{"accounts", checkConservation},
	{"declarations", checkDeclared},
}

// checkConnection fetches what later checks look at.
func checkConnection(ctx context.Context, d *doctor, name string) {
	d.pages = map[string]*page{}
	for _, want := range []string{"overview", "channels", "subscribers", "slow"} {
		q := url.Values{}
		if want == "overview" { // the others then know what this one has observed
			q.Set("over", observe)
		}
		p, err := d.client.get(ctx, want, q)
		if err == nil {
			d.pages[want] = p
			continue
		}
		var f *failure
		fix := ""
		if errors.As(err, &f) {
			fix = f.hint
		}
		d.finds("bad", name, fix, "%v", err)
		d.stop = true
		return
	}
	d.ok(name, "%s answers", d.client.base.Redacted())
}

func checkToken(_ context.Context, d *doctor, name string) {
	switch local := isLoopback(d.client.base); {
	case d.client.token == "":
		d.ok(name, "EARSHOT_TOKEN is not set, and not needed")
	case d.client.base.Scheme == "http" && !local:
		d.finds("bad", name, "use https, or ssh -L to reach the page by a loopback address", "EARSHOT_TOKEN goes to %s unencrypted, for everybody on the way to read", d.client.base.Host)
	default:
		d.ok(name, "EARSHOT_TOKEN is sent over a way that nobody else sees")
	}
}

// checkExposure asks the page as a stranger would.
func checkExposure(ctx context.Context, d *doctor, name string) {
	status := d.probe(ctx, func(r *http.Request) { r.Header.Del("Authorization") })
	access := d.page("overview").table("about")
	payloads := strings.Contains(access.text(0, "access"), "payloads shown")
	switch {
	case isLoopback(d.client.base):
		if status == http.StatusOK && d.client.token != "" {
			d.finds("note", name, "have tap.Options.Allow ask for the token, if it is meant to matter", "the page answers without the token as well")
			return
		}
		if proxied := d.probe(ctx, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") }); proxied == http.StatusOK && d.client.token == "" {
			d.finds("bad", name, "have tap.Options.Allow use tap.Loopback, or ask for a token", "requests that a proxy forwards from anywhere are let in")
			return
		}
		d.ok(name, "looked at from this machine: %s", access.text(0, "access"))
	case status != http.StatusOK:
		d.ok(name, "the page is closed to those without the token")
	case payloads:
		d.finds("bad", name, "have tap.Options.Allow ask for a token, or a session of yours", "everybody who can reach %s sees the page, and what is in the events", d.client.base.Host)
	default:
		d.finds("bad", name, "have tap.Options.Allow ask for a token, or a session of yours", "everybody who can reach %s sees the page", d.client.base.Host)
	}
}

// checkForeign asks as a page of another site would have a browser ask, and as one would whose name
// has been made to point here.
func checkForeign(ctx context.Context, d *doctor, name string) {
	for _, origin := range []string{"https://elsewhere.example", "null"} {
		if d.probe(ctx, func(r *http.Request) { r.Header.Set("Origin", origin) }) == http.StatusOK {
			d.finds("bad", name, "something before the page removes the Origin header: pass it on", "a request of another site (Origin: %s) is answered", origin)
			return
		}
	}
	if isLoopback(d.client.base) && d.probe(ctx, func(r *http.Request) { r.Host = "elsewhere.example" }) == http.StatusOK {
		d.finds("bad", name, "have tap.Options.Allow use tap.Loopback, or something before the page pass the Host header on",
			"a Host that is not of this machine is answered, so any site can reach the page through a visitor's browser")
		return
	}
	d.ok(name, "are refused")
}

// probe returns the status of the page for a request that is changed, 0 if there was no answer.
func (d *doctor) probe(ctx context.Context, change func(*http.Request)) int {
	resp, err := d.raw(ctx, "overview.json", change)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func (d *doctor) raw(ctx context.Context, name string, change func(*http.Request)) (*http.Response, error) {
	req, err := d.client.request(ctx, http.MethodGet, name, nil, nil)
	if err != nil {
		return nil, err
	}
	change(req)
	return d.client.http.Do(req)
}

func checkHeaders(ctx context.Context, d *doctor, name string) {
	resp, err := d.raw(ctx, "", func(r *http.Request) { r.Header.Set("Accept", "text/html") })
	if err != nil {
		d.finds("bad", name, "", "%v", err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		d.finds("bad", name, "the page must be mounted with the slash at its end", "the page itself is answered with %s", resp.Status)
		return
	}
	if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
		d.finds("warn", name, "something before the page replaces its headers: let it keep those of the response", "the page's Content-Security-Policy does not arrive, but %q", policy)
		return
	}
	if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		d.finds("warn", name, "something before the page removes headers: let it keep them", "X-Content-Type-Options does not arrive")
		return
	}
	d.ok(name, "arrive as the page sends them")
}

func checkClock(ctx context.Context, d *doctor, name string) {
	resp, err := d.raw(ctx, "overview.json", func(*http.Request) {})
	if err != nil {
		d.finds("bad", name, "", "%v", err)
		return
	}
	resp.Body.Close()
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		d.finds("note", name, "", "the answers bear no date to compare with")
		return
	}
	// A date is in whole seconds, and has been on its way.
	if off := d.app.now().Sub(at); off > 4*time.Second || off < -3*time.Second {
		d.finds("warn", name, "run a time service on both machines", "the clocks here and there differ by %s: ages are wrong by as much", short(off.Abs().Round(time.Second)))
		return
	}
	d.ok(name, "the same here and there")
}

var goVersion = regexp.MustCompile(`^go1\.(\d+)`)

const oldestGo = 26 // of those that the Go team supports

func checkVersion(_ context.Context, d *doctor, name string) {
	about := d.page("overview").table("about")
	there := about.text(0, "go")
	if m := goVersion.FindStringSubmatch(there); m != nil {
		if minor, err := strconv.Atoi(m[1]); err == nil && minor < oldestGo {
			d.finds("warn", name, "build it with a Go that still gets security fixes", "the program is built with %s", there)
			return
		}
	}
	here := ownVersion().Version
	if v := about.text(0, "earshot"); v != "" && here != "devel" && v != here && !strings.Contains(v, "devel") {
		d.finds("note", name, "install the command at the program's version", "the program has earshot %s, this command is %s", v, here)
		return
	}
	d.ok(name, "%s", there)
}
