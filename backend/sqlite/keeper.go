package sqlite

import (
	"database/sql"
	"time"
)

// A keeper forgets events, for the writer and within its transactions: some at a time, so that none of them takes
// long, and not with each commit.
type keeper struct {
	opts   *BusOptions
	fresh  int64     // rows that were inserted since it looked last
	looked time.Time // when that was
	more   bool      // it had to stop half-way
}

// slack is how many events more than Keep may be there.
func (k *keeper) slack() int64 { return min(k.opts.Keep/16, 1000) }

// due reports whether it is time to look. Age is looked at once a second.
func (k *keeper) due() bool {
	switch {
	case k.opts.Keep == 0 && k.opts.KeepFor == 0:
		return false
	case k.more || k.looked.IsZero():
		return true
	case k.opts.Keep > 0 && k.fresh > k.slack():
		return true
	}
	return k.opts.KeepFor > 0 && time.Since(k.looked) > min(time.Second, k.opts.KeepFor/8)
}

// prune deletes what is not kept any more, after some rows were inserted.
func (k *keeper) prune(in *inserter, inserted int64) error {
	k.fresh += inserted
	if inserted == 0 || !k.due() {
		return nil
	}
	var oldest, last, at int64
	err := in.oldest.QueryRow().Scan(&oldest)
	if err == nil {
		err = in.last.QueryRow().Scan(&last, &at)
	}
	if err == sql.ErrNoRows {
		return nil
	}
	if err != nil {
		return err
	}
	tooMany, tooOld := int64(0), int64(0)
	if k.opts.Keep > 0 {
		tooMany = last - k.opts.Keep + 1
	}
	if k.opts.KeepFor > 0 {
		tooOld = time.Now().Add(-k.opts.KeepFor).UnixMicro()
	}
	// Twice what came in: so it catches up with a Keep that was made smaller.
	limit := oldest + max(1024, 2*k.fresh)
	result, err := in.prune.Exec(limit, tooMany, tooOld)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	k.fresh, k.looked, k.more = 0, time.Now(), n > 0 && n >= limit-oldest
	return err
}
