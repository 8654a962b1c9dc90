package postgres

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/earshot-go/earshot/queue"
	"github.com/jackc/pgx/v5"
)

// Bind adds bindings, and removes bindings then. What is removed may be what could not be added any more.
func (s *Store) Bind(ctx context.Context, add, remove []queue.Binding) (rev queue.Rev, err error) {
	for i := range add {
		if err := add[i].Validate(); err != nil {
			return 0, err
		}
	}
	// The server takes no text that it could not have stored.
	remove = slices.DeleteFunc(slices.Clone(remove), func(b queue.Binding) bool {
		text := b.Queue + string(b.Selector.Kind) + b.Selector.Text
		return !utf8.ValidString(text) || strings.ContainsRune(text, 0)
	})
	args := append(parts(add), parts(remove)...)
	err = s.call(ctx, "bind", len(add)+len(remove), func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, s.sql(`SELECT {s}.bind($1, $2, $3, $4, $5, $6)`), args...).Scan(&rev)
	})
	return rev, err
}

func parts(bindings []queue.Binding) []any {
	n := len(bindings)
	queues, kinds, texts := make([]string, n), make([]string, n), make([]string, n)
	for i, b := range bindings {
		queues[i], kinds[i], texts[i] = b.Queue, string(b.Selector.Kind), b.Selector.Text
	}
	return []any{queues, kinds, texts}
}

// Bindings returns all bindings, in the order of their queues, and their revision.
func (s *Store) Bindings(ctx context.Context, since queue.Rev) (all []queue.Binding, rev queue.Rev, err error) {
	err = s.call(ctx, "bindings", 0, func(ctx context.Context, c *pgx.Conn) error {
		all, rev = nil, 0
		rows, err := c.Query(ctx, s.sql(`SELECT m.rev, b.queue, b.kind, b.text FROM {s}.meta m LEFT JOIN {s}.bindings b ON m.rev <> $1
			ORDER BY b.queue, b.kind, b.text`), int64(since))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name, kind, text *string
			if err := rows.Scan(&rev, &name, &kind, &text); err != nil {
				return err
			}
			if name != nil && kind != nil && text != nil {
				all = append(all, queue.Binding{Queue: *name, Selector: queue.Selector{Kind: queue.Kind(*kind), Text: *text}})
			}
		}
		return rows.Err()
	})
	return all, rev, err
}
