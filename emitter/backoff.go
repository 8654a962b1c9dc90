package emitter

import (
	"math/rand/v2"
	"time"
)

// backoff grows from 50 ms to 1 s, and is drawn from its upper half each time so that many processes whose engine
// comes back do not come at the same moment.
type backoff struct{ tries int }

const (
	firstWait   = 50 * time.Millisecond
	longestWait = time.Second
	deniedWait  = 5 * time.Second // wrong credentials do not mend themselves, and may lock an account
)

func (b *backoff) next() time.Duration {
	d := min(firstWait<<min(b.tries, 10), longestWait)
	b.tries++
	return d/2 + rand.N(d/2)
}

func (b *backoff) reset() { b.tries = 0 }
