// Package exempt lets packages of earshot say what only they may say to the core.
package exempt

import "context"

type key struct{}

// From returns a context with which SendContext, on the channel with this handle, does not wait for room: for a
// goroutine that would wait for itself.
func From(ctx context.Context, handle any) context.Context {
	return context.WithValue(ctx, key{}, handle)
}

// Is reports whether ctx is such a context for the channel with this handle.
func Is(ctx context.Context, handle any) bool {
	return ctx.Value(key{}) == handle && handle != nil
}
