package sqlite

import (
	"strconv"
	"strings"

	"github.com/earshot-go/earshot/queue"
)

// A receipt names a lease: the seq of the item, the how manieth lease of it, and a hash that only the same item in the
// same tables has. Its last part says whether there is more to do than to remove a row when the item is done.
type receipt struct {
	seq        int64
	deliveries int64
	entangled  bool // it has a key or serial
}

func makeReceipt(epoch uint64, seq, deliveries int64, it *queue.Item) string {
	b := make([]byte, 0, 40)
	b = strconv.AppendInt(b, seq, 10)
	b = append(b, '.')
	b = strconv.AppendInt(b, deliveries, 10)
	b = append(b, '.')
	entangled := it.Key != "" || it.Serial != ""
	b = strconv.AppendUint(b, hashOf(epoch, entangled, it.Queue, it.ID), 36)
	if entangled {
		b = append(b, '+')
	}
	return string(b)
}

// readReceipt reports whether the text is a receipt for that item of these tables.
func readReceipt(epoch uint64, s *queue.Settlement) (r receipt, ok bool) {
	text, entangled := strings.CutSuffix(s.Receipt, "+")
	seq, rest, _ := strings.Cut(text, ".")
	deliveries, hash, _ := strings.Cut(rest, ".")
	var err1, err2, err3 error
	var h uint64
	r.entangled = entangled
	r.seq, err1 = strconv.ParseInt(seq, 10, 64)
	r.deliveries, err2 = strconv.ParseInt(deliveries, 10, 64)
	h, err3 = strconv.ParseUint(hash, 36, 64)
	return r, err1 == nil && err2 == nil && err3 == nil && h == hashOf(epoch, entangled, s.Queue, s.ID)
}

// hashOf is FNV-1a.
func hashOf(epoch uint64, entangled bool, queue, id string) uint64 {
	const prime = 1099511628211
	h := uint64(14695981039346656037) ^ epoch
	if entangled {
		h = ^h
	}
	for _, s := range [...]string{queue, "\x00", id} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * prime
		}
	}
	return h
}
