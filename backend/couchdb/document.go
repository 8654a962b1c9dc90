package couchdb

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/earshot-go/earshot/event"
)

// idTime is the form of the time at the beginning of an _id. All have the same length, and sort as text.
const idTime = "2006-01-02T15:04:05.000000000Z"

// appendDoc appends the document of an event and returns the length of the event's own JSON.
func appendDoc(dst []byte, ev event.Event) (doc []byte, size int, err error) {
	whole, err := ev.AppendJSON(nil)
	if err != nil {
		return nil, 0, err
	}
	attributes := ev
	attributes.Data = nil
	dst = append(dst, `{"_id":"`...)
	dst = append(dst, docID(ev)...)
	dst = append(dst, `","event_json":`...)
	dst = appendQuoted(dst, whole)
	at := len(dst)
	dst, err = attributes.AppendJSON(dst)
	if err != nil {
		return nil, 0, err
	}
	dst[at] = ',' // was the brace that opens an object
	return dst, len(whole), nil
}

// docID names the document of an event. The source is part of it: two sources may count their events from 1. So is the
// time, as package documentation tells.
func docID(ev event.Event) string {
	// Neither part can contain a control character.
	sum := sha256.Sum256([]byte(ev.Source + "\x00" + ev.ID))
	return timeText(ev.Time) + "_" + hex.EncodeToString(sum[:16])
}

func timeText(t time.Time) string { return t.UTC().Format(idTime) }

// timeOf returns the time in an _id that docID has made, or "".
func timeOf(id string) string {
	if len(id) != len(idTime)+1+32 || id[len(idTime)] != '_' || id[10] != 'T' || id[len(idTime)-1] != 'Z' {
		return ""
	}
	return id[:len(idTime)]
}

// appendQuoted appends JSON as a JSON string. It is UTF-8 by then.
func appendQuoted(dst, text []byte) []byte {
	dst = append(dst, '"')
	done := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[done:i]...)
		done = i + 1
		if c < ' ' {
			dst = append(dst, `\u00`...)
			dst = hex.AppendEncode(dst, []byte{c})
			continue
		}
		dst = append(dst, '\\', c)
	}
	dst = append(dst, text[done:]...)
	return append(dst, '"')
}

// parseDoc returns the event of a document. Not ok: it has none.
func parseDoc(doc []byte) (ev event.Event, ok bool) {
	var own struct {
		Event *string `json:"event_json"`
	}
	if len(doc) == 0 || json.Unmarshal(doc, &own) != nil {
		return ev, false
	}
	if own.Event != nil {
		return ev, ev.UnmarshalJSON([]byte(*own.Event)) == nil
	}
	// Somebody else may have written it, as a plain CloudEvent. CouchDB's own members begin with an underscore, and
	// package event leaves those out.
	return ev, ev.UnmarshalJSON(doc) == nil
}
