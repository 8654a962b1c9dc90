package main

import (
	"net/http"
	"time"
)

const second = time.Second

// wait reports false if the request ended first.
func wait(r *http.Request, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
