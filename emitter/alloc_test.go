//go:build !race

package emitter_test

import (
	"context"
	"testing"

	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

// The race detector allocates: this runs in the steps of CI that are without it.

// What nobody hears costs no allocation, and typed data is not boxed for it.
func TestNothingIsAllocatedUnheard(t *testing.T) {
	e := newEmitter(t, emitter.Options{})
	ctx := context.Background()
	u := &user{7, "ann"}
	measure := func(when string) {
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			if e.Emit(ctx, "nobody", u) != nil {
				panic("Emit")
			}
		}), "Emit %s", when)
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			if emitter.Emit(ctx, e, "nobody", user{7, "ann"}) != nil {
				panic("Emit")
			}
		}), "typed %s", when)
	}
	measure("without listeners")
	on(t, e, "somebody", nothing)
	measure("with listeners of another name")
	_, err := e.OnAny("order.*", nothing)
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(1000, func() { e.Emit(ctx, "nobody", u) }), "with a pattern that does not match")
}
