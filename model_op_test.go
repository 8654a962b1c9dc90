package earshot_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/earshot-go/earshot"
)

type modelKind int

const (
	opSend modelKind = iota
	opSendHandle
	opReceive
	opLoop
	opReady
	opStats
	opSubscribe
	opUnsubscribe
	opPattern
	opClose
	opListening
)

// A modelOp is one operation. What its numbers refer to is found when it is run, so that a list with
// one left out still means something.
type modelOp struct {
	kind   modelKind
	box, n int
	name   any
	event  any
	times  int
}

func (op modelOp) String() string {
	kind := [...]string{"send", "send by handle", "receive", "loop", "ready", "stats", "subscribe", "unsubscribe", "pattern", "close", "listening"}[op.kind]
	return fmt.Sprintf("%s box=%d n=%d name=%v event=%v times=%d", kind, op.box, op.n, op.name, op.event, op.times)
}

var (
	modelNames    = []any{"a.x", "a.y", "a.b.c", "z", 7}
	modelPatterns = []any{"a.*", "a.**", "**", "*", "a.*.c", "z"}
	modelKinds    = []modelKind{
		opSend, opSend, opSend, opSend, opSend, opSendHandle, opSendHandle, opReceive, opReceive, opReceive, opLoop, opLoop,
		opReady, opStats, opSubscribe, opSubscribe, opSubscribe, opUnsubscribe, opUnsubscribe, opPattern, opClose, opListening,
	}
	modelCapacities = []int{1, 2, 3, 7, 8, 9, 16, 17, 40, 100}
	modelPolicies   = []earshot.Overflow{earshot.DropOldest, earshot.DropOldest, earshot.DropNewest, earshot.Latest, earshot.Unbounded, earshot.Evict}
)

func newModelOp(rng *rand.Rand) modelOp {
	op := modelOp{kind: modelKinds[rng.IntN(len(modelKinds))], box: rng.IntN(4), n: rng.IntN(1000), times: 1}
	op.name = modelNames[rng.IntN(len(modelNames))]
	switch op.kind {
	case opPattern:
		op.name = modelPatterns[rng.IntN(len(modelPatterns))]
	case opSend, opSendHandle:
		if op.event = any(op.n); op.kind == opSend && rng.IntN(4) == 0 {
			op.event = fmt.Sprint(op.n)
		}
		if rng.IntN(4) == 0 {
			op.times = 1 + rng.IntN(40)
		}
	case opReceive, opLoop:
		op.times = 1 + rng.IntN(1+rng.IntN(30))
	}
	return op
}

func modelSend(s *earshot.Server, name, event any) {
	switch e := event.(type) {
	case int:
		modelSendAs(s, name, e)
	case string:
		modelSendAs(s, name, e)
	}
}

func modelSendAs[E any](s *earshot.Server, name any, e E) {
	switch name := name.(type) {
	case int:
		earshot.SendEvent(s, name, e)
	case string:
		earshot.SendEvent(s, name, e)
	}
}
