package main

import (
	"fmt"
	"net/http"
	"time"
)

// hostileStream says the same everywhere that it can.
func hostileStream(quoted string) func(http.ResponseWriter, *http.Request, func()) {
	return func(w http.ResponseWriter, r *http.Request, _ func()) {
		fmt.Fprintf(w, `{"channel":"%[1]s","seq":1,"time":"%[1]s","type":"%[1]s","size":1,"event":{"%[1]s":"%[1]s"}}`+"\n", quoted)
		fmt.Fprintf(w, `{"gap":{"reason":"%s","missed":null}}`+"\n", quoted)
		fmt.Fprintf(w, `{"end":{"reason":"%s"}}`+"\n", quoted)
	}
}

// endlessStream sends a record so often, 0 being as often as it can, and counts.
func endlessStream(every time.Duration) func(http.ResponseWriter, *http.Request, func()) {
	return func(w http.ResponseWriter, r *http.Request, flush func()) {
		for i := 1; ; i++ {
			fmt.Fprintln(w, record(i))
			if i%10 == 0 {
				fmt.Fprintf(w, `{"stats":{"seen":%d,"shown":%d,"filtered":%d,"shed":0}}`+"\n", 2*i, i, i)
			}
			if every == 0 { // faster than anybody can read
				if r.Context().Err() != nil {
					return
				}
				continue
			}
			flush()
			if !wait(r, every) {
				return
			}
		}
	}
}

// lines is a stream of these lines, which then stays open.
func lines(all ...string) func(http.ResponseWriter, *http.Request, func()) {
	return func(w http.ResponseWriter, r *http.Request, flush func()) {
		for _, line := range all {
			fmt.Fprintln(w, line)
		}
		flush()
		<-r.Context().Done()
	}
}

// cut is a stream of these bytes, which then breaks.
func cut(text string) func(http.ResponseWriter, *http.Request, func()) {
	return func(w http.ResponseWriter, _ *http.Request, flush func()) {
		fmt.Fprint(w, text)
		flush()
		panic(http.ErrAbortHandler)
	}
}
