package program

import (
	"io"
	"net/http"
	"testing"
)

// A Site is what a program serves.
type Site struct {
	URL    string // "http://127.0.0.1:8080"
	Client *http.Client
}

// Site waits until the program says "serving http://…".
func (p *Program) Site(t testing.TB) Site {
	t.Helper()
	return NewSite(t, "http://"+p.Saying(t, `serving http://([^/]+)/`)[1])
}

// NewSite returns the site of a URL. Its connections are closed at the end of the test.
func NewSite(t testing.TB, url string) Site {
	s := Site{url, &http.Client{Timeout: Bound, Transport: &http.Transport{}}}
	t.Cleanup(s.Client.CloseIdleConnections)
	return s
}

// Do asks, and returns the status and the body of the answer. No answer ends the test.
func (s Site) Do(t testing.TB, method, path string) (status int, body string) {
	t.Helper()
	status, body, err := s.Try(method, path)
	if err != nil {
		t.Fatal(err)
	}
	return status, body
}

// Try is Do where a program may not be there. It may be called from many goroutines.
func (s Site) Try(method, path string) (status int, body string, err error) {
	req, err := http.NewRequest(method, s.URL+path, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := s.Client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}
