package tap

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/earshot-go/earshot/tap/filter"
	"github.com/earshot-go/earshot/tap/internal/web"
)

// problem is an error as JSON.
type problem struct {
	Error  string         `json:"error"`
	Hint   string         `json:"hint,omitempty"`
	Status int            `json:"status"`
	Filter *filterProblem `json:"filter,omitempty"`
}

type filterProblem struct {
	Pos     int    `json:"pos"`
	Len     int    `json:"len"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Caret   string `json:"caret"`
}

// fail answers with an error: as a page to a browser that asks for one, as JSON to everybody else.
func (p *Page) fail(w http.ResponseWriter, r *http.Request, status int, what, hint string) {
	p.failWith(w, r, problem{Error: what, Hint: hint, Status: status})
}

// failFilter answers a filter that does not parse.
func (p *Page) failFilter(w http.ResponseWriter, r *http.Request, err error) {
	x := problem{Error: "the filter does not parse", Hint: "the help page has the grammar", Status: http.StatusBadRequest}
	var e *filter.Error
	if errors.As(err, &e) {
		x.Filter = &filterProblem{Pos: e.Pos, Len: e.Len, Message: e.Msg, Hint: e.Hint, Caret: e.Error()}
	}
	p.failWith(w, r, x)
}

func (p *Page) failWith(w http.ResponseWriter, r *http.Request, x problem) {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(x.Status)
		if x.Filter != nil {
			x.Error, x.Hint = x.Error+": "+x.Filter.Message, cmp.Or(x.Filter.Hint, x.Hint)
		}
		web.ErrorHTML(w, p.frame(r, 0, ""), x.Status, x.Error, x.Hint)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(x.Status)
	json.NewEncoder(w).Encode(x)
}
