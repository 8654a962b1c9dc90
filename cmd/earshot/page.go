package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A page is what the JSON twin of a page says. Commands show it as it comes, also tables and columns
// that they have never heard of: a program may bring panels of its own.
type page struct {
	Title   string
	Status  string
	Summary string
	Tables  []table
	raw     []byte
}

// A table has its columns in the order in which the server sent them.
type table struct {
	Name string
	Keys []string
	Rows [][]any // string, json.Number, bool, nil, or json.RawMessage for what is nested
}

// table returns the table of that name, an empty one if there is none.
func (p *page) table(name string) table {
	for _, t := range p.Tables {
		if t.Name == name {
			return t
		}
	}
	return table{Name: name}
}

// column returns the index of a key, -1 if there is none.
func (t *table) column(key string) int {
	for i, k := range t.Keys {
		if k == key {
			return i
		}
	}
	return -1
}

// at returns the value of a column in a row, nil if there is no such column.
func (t *table) at(row int, key string) any {
	i := t.column(key)
	if i < 0 || row >= len(t.Rows) {
		return nil
	}
	return t.Rows[row][i]
}

func (t *table) text(row int, key string) string {
	s, _ := t.at(row, key).(string)
	return s
}

// number returns a count, and whether it is known.
func (t *table) number(row int, key string) (float64, bool) {
	n, ok := t.at(row, key).(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

var errNoPage = errors.New("the JSON is none of a tap page")

// parsePage reads a page. encoding/json would sort the keys of an object, so it is read token by token.
func parsePage(raw []byte) (*page, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	p := &page{raw: raw}
	err := object(dec, func(key string) error {
		switch key {
		case "title":
			return dec.Decode(&p.Title)
		case "status":
			return dec.Decode(&p.Status)
		case "summary":
			return dec.Decode(&p.Summary)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if len(value) == 0 || value[0] != '[' {
			return nil
		}
		t, err := parseTable(key, value)
		if err == nil {
			p.Tables = append(p.Tables, t)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, snippet(raw))
	}
	if _, err := dec.Token(); err != io.EOF || p.Title == "" && p.Status == "" {
		return nil, fmt.Errorf("%w: %s", errNoPage, snippet(raw))
	}
	return p, nil
}

func parseTable(name string, raw json.RawMessage) (table, error) {
	t := table{Name: name}
	var rows []json.RawMessage
	if err := json.Unmarshal(raw, &rows); err != nil {
		return t, err
	}
	index := map[string]int{}
	for _, r := range rows {
		dec := json.NewDecoder(bytes.NewReader(r))
		dec.UseNumber()
		row := make([]any, len(t.Keys))
		err := object(dec, func(key string) error {
			var value json.RawMessage
			if err := dec.Decode(&value); err != nil {
				return err
			}
			i, ok := index[key]
			if !ok {
				i = len(t.Keys)
				index[key], t.Keys = i, append(t.Keys, key)
			}
			for len(row) <= i {
				row = append(row, nil)
			}
			row[i] = scalar(value)
			return nil
		})
		if err != nil {
			return t, err
		}
		t.Rows = append(t.Rows, row)
	}
	for i, row := range t.Rows { // a column that came up in a later row
		for len(row) < len(t.Keys) {
			row = append(row, nil)
		}
		t.Rows[i] = row
	}
	return t, nil
}

func scalar(raw json.RawMessage) any {
	if raw[0] == '{' || raw[0] == '[' {
		return raw
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil
	}
	return v
}

// object reads an object, and calls field with each key when its value is next.
func object(dec *json.Decoder, field func(key string) error) error {
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return errNoPage
	}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		if err := field(tok.(string)); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

// jsonText returns a number as the server wrote it.
func jsonText(v any) string {
	n, _ := v.(json.Number)
	return n.String()
}
