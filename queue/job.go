package queue

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Settlements that go into one call of the store.
const settleMost = 1000

var (
	errDrained   = errors.New("the queue is drained, and there is no more time")
	errGivenBack = errors.New("the item was given back")
	// ErrTimeout is the cause with which the context of a handler ends after Work.Timeout.
	ErrTimeout = errors.New("the handler has run too long")
)

// A job is the work on one leased item.
type job struct {
	w      *worker
	leased Leased
	ctx    context.Context // of the handler
	cancel context.CancelCauseFunc
	began  time.Time

	// Guarded by w.mu.
	until     time.Time   // before that the lease does not end, by the clock of this process
	alarm     *time.Timer // rings then
	settling  bool        // the handler has returned, and finish finds out what becomes of the item
	decision  word        // what that is to be
	abandoned error       // why what the handler returns does not count any more
}

func newJob(w *worker, l Leased, after time.Time) *job {
	j := &job{w: w, leased: l, began: time.Now(), until: after.Add(w.work.TTL)}
	j.ctx, j.cancel = context.WithCancelCause(w.q.ctx)
	j.alarm = time.AfterFunc(time.Until(j.until), func() {
		if until, _ := j.state(); !time.Now().Before(until) { // else it has just been extended
			w.lose(j, fmt.Errorf("%w: it was not extended in time", ErrLeaseLost))
		}
	})
	return j
}

// run calls the handler.
func (j *job) run() {
	w := j.w
	ctx, cancel := j.ctx, context.CancelFunc(func() {})
	if t := w.work.Timeout; t > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, t, fmt.Errorf("%w: more than %v", ErrTimeout, t))
	}
	call(ctx, w.handler(j.leased.Name), j.leased, func(err error) {
		cause := context.Cause(ctx)
		cancel()
		j.finish(err, cause)
	})
}

// finish settles the item as the handler has decided, whose context has ended with cause if at all.
func (j *job) finish(err, cause error) {
	defer j.cancel(nil)
	defer j.w.end(j)
	q := j.w.q
	if err != nil && errors.Is(cause, ErrTimeout) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	s := settlement(j.leased, err, j.w.work.Backoff)
	if s.Action == Fail && errors.Is(cause, errDrained) && !decided(err) {
		s = j.leased.Release(0) // it has failed because it was cancelled
	}
	j.w.mu.Lock()
	j.settling, j.decision = true, word{j.leased, s, err, time.Since(j.began)}
	j.w.mu.Unlock()
	doubtful := false // a call may have had its effect, and its answer was lost
	for trouble := 1; ; trouble++ {
		until, why := j.state()
		if errors.Is(why, errGivenBack) || why != nil && err != nil {
			return // somebody else has the item, or will
		}
		lost := j.settle(s)
		if lost == nil {
			q.settled(&j.leased, s, err, time.Since(j.began))
			return
		}
		if doubtful && errors.Is(lost, ErrLeaseLost) {
			lost = fmt.Errorf("it may have been settled, by a call whose answer was lost: %w", lost)
		}
		doubtful = true
		if errors.Is(lost, ErrLeaseLost) || errors.Is(lost, ErrInvalid) || why != nil || !time.Now().Before(until) || q.ctx.Err() != nil {
			if j.abandon(lost) {
				q.lost(&j.leased, lost)
			}
			return
		}
		q.fault("settle in "+j.w.queue, lost)
		sleep(q.ctx, min(storeBackoff(trouble), time.Until(until)))
	}
}

// settle has one settlement take effect, together with those of others.
func (j *job) settle(s Settlement) error {
	errs, err := j.w.q.settler.Do(j.w.q.ctx, []Settlement{s})
	if err == nil {
		err = errs[0]
	}
	return err
}

// lastWord is what is to become of an item when there is no more time: what its handler has decided, or it is given back.
func (j *job) lastWord() word {
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	if j.settling {
		return j.decision
	}
	return word{j.leased, j.leased.Release(0), nil, 0}
}

func (j *job) state() (until time.Time, abandoned error) {
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	return j.until, j.abandoned
}

// abandon ends a job before its handler has returned, and reports whether nobody did so before.
func (j *job) abandon(why error) bool {
	j.w.mu.Lock()
	first := j.abandoned == nil
	if first {
		j.abandoned = why
	}
	j.w.mu.Unlock()
	j.cancel(why)
	return first
}

// beat extends the leases of jobs, as long as there are any.
func (w *worker) beat() {
	ticker := time.NewTicker(w.work.TTL / 6)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-w.q.ctx.Done():
		}
		now := time.Now()
		old, some := w.aged(now)
		if !some || w.q.ctx.Err() != nil {
			return
		}
		if len(old) > 0 {
			w.extend(old, now)
		}
	}
}

// aged returns the jobs whose lease is older than a third of its TTL. If there are no jobs at all, beating is over.
func (w *worker) aged(now time.Time) (old []*job, some bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for j := range w.jobs {
		switch {
		case j.abandoned != nil:
		case w.work.Timeout > 0 && now.Sub(j.began) >= w.work.Timeout:
			// It may still return before the lease is over.
		case j.until.Sub(now) <= w.work.TTL*2/3:
			old = append(old, j)
		}
	}
	w.beating = len(w.jobs) > 0
	return old, w.beating
}

func (w *worker) extend(jobs []*job, now time.Time) {
	all := make([]Settlement, len(jobs))
	for i, j := range jobs {
		all[i] = j.leased.Extend(w.work.TTL)
	}
	ctx, cancel := context.WithTimeout(w.q.ctx, w.work.TTL/6)
	defer cancel()
	errs, err := w.q.settler.Do(ctx, all)
	if err != nil {
		w.q.fault("extend leases of "+w.queue, err)
		return // the next beat tries again
	}
	for i, j := range jobs {
		switch {
		case errs[i] == nil:
			w.extended(j, now.Add(w.work.TTL))
		case errors.Is(errs[i], ErrLeaseLost):
			w.lose(j, errs[i])
		}
	}
}

func (w *worker) extended(j *job, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.jobs[j]; ok && j.abandoned == nil {
		j.until = until
		j.alarm.Reset(time.Until(until))
	}
}

// lose tells a handler that its lease is lost. When it has returned, finish sees to that: what an extension finds lost
// may just have been settled.
func (w *worker) lose(j *job, why error) {
	w.mu.Lock()
	settling := j.settling
	w.mu.Unlock()
	if !settling && j.abandon(why) {
		w.q.lost(&j.leased, why)
	}
}
