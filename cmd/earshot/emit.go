package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

const maxEvent = 1 << 20 // the server takes no more

var emitCommand = &command{
	name: "emit", args: "CHANNEL JSON", summary: "send an event; the program must permit it",
	minArgs: 2, maxArgs: 2, dashArgs: isNegativeNumber,
	doc: "The JSON is decoded as the channel's type. \"-\" reads it from stdin, which keeps it out of the\nprocess list and the shell's history.",
	examples: []example{
		{`earshot emit orders.paid '{"id":7,"amount":1250}'`, "one event"},
		{"earshot emit orders.paid - < order.json", "from a file"},
		{"earshot emit scratch '\"hello\"' --undeclared", "on a name that no code declares: an untyped event"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		undeclared := fs.Bool("undeclared", false, "also if the program does not declare the channel")
		return func(ctx context.Context, args []string) error {
			body, err := a.event(args[1])
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			defer c.close()
			return a.emit(ctx, c, args[0], body, *undeclared)
		}
	},
}

func isNegativeNumber(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9'
}

// event returns the event that the argument is, or that stdin has, and sees that it is JSON: here the
// place of a mistake can be shown.
func (a *app) event(arg string) ([]byte, error) {
	body, from := []byte(arg), "the event"
	if arg == "-" {
		var err error
		from = "stdin"
		if body, err = io.ReadAll(io.LimitReader(a.in, maxEvent+1)); err != nil {
			return nil, err
		}
	}
	if len(body) > maxEvent {
		return nil, usage("%s is larger than %d MiB", from, maxEvent>>20)
	}
	var v json.RawMessage
	if err := json.Unmarshal(body, &v); err != nil {
		var syntax *json.SyntaxError
		where := ""
		if errors.As(err, &syntax) {
			where = fmt.Sprintf(" at byte %d", syntax.Offset)
		}
		return nil, fail(exitUsage, `a string needs quotes of its own: '"hello"'`, "%s is not JSON%s: %v", from, where, err)
	}
	return body, nil
}

func (a *app) emit(ctx context.Context, c *client, channel string, body []byte, undeclared bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, pageTimeout, errPageTimeout)
	defer cancel()
	q := url.Values{"channel": {channel}}
	if undeclared {
		q.Set("undeclared", "1")
	}
	req, err := c.request(ctx, http.MethodPost, "emit", q, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return c.connectError(ctx, err)
	}
	if a.json {
		return a.writeRaw(raw)
	}
	var sent struct {
		Channel, Type string
		Listeners     *int
	}
	if err := json.Unmarshal(raw, &sent); err != nil || sent.Listeners == nil {
		return c.notOurs(snippet(raw))
	}
	heard := "nobody listens"
	switch n := *sent.Listeners; {
	case n == 1:
		heard = "1 listener"
	case n > 1:
		heard = fmt.Sprintf("%d listeners", n)
	}
	what := ""
	if sent.Type != "" {
		what = " " + clean(sent.Type)
	}
	_, err = fmt.Fprintf(a.out, "sent%s to %s: %s\n", what, clean(channel), heard)
	return err
}
