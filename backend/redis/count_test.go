// An inside test: how much a feed asks for shows from outside only as memory.
package redis

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Small entries do not make a feed ask for more large ones than it should hold.
func TestCount(t *testing.T) {
	for _, c := range []struct{ maxBytes, size, want int }{
		{1 << 20, 0, 64}, {1 << 20, 200, 64}, {1 << 20, 1 << 20, 1}, {64 << 10, 200, 512}, {64 << 10, 0, 64},
		{32 << 20, 200, 2}, {512 << 20, 200, 1}, {0, 200, 1},
	} {
		f := &feed{bus: &Bus{opts: BusOptions{MaxBytes: c.maxBytes}}, size: c.size}
		require.Equal(t, c.want, f.count(), "%+v", c)
		f.bus.narrow.Store(true)
		require.Equal(t, 1, f.count())
	}
}
