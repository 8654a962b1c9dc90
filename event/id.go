package event

import (
	"crypto/rand"
	"sync"
	"sync/atomic"
)

const (
	// digits has no i, l, o and u, which are easily taken for others.
	digits = "0123456789abcdefghjkmnpqrstvwxyz"
	prefix = 16 // digits of 5 bits each: 80 random bits of this process
	idLen  = prefix + 10
)

var (
	ids     atomic.Uint64
	process = sync.OnceValue(func() (id [idLen]byte) {
		rand.Read(id[:prefix]) // never fails
		for i, b := range id[:prefix] {
			id[i] = digits[b&31]
		}
		return id
	})
)

// NewID returns an ID that no other call returns, in any process: 26 small letters and digits, of which the
// first 16 are random and the same for the whole process, and the others count. Do not sort by them and do
// not keep secrets with them. It is safe from many goroutines and costs one small allocation.
func NewID() string {
	id := process()
	n := ids.Add(1)
	for i := idLen - 1; i >= prefix; i-- {
		id[i] = digits[n&31]
		n >>= 5
	}
	return string(id[:])
}
