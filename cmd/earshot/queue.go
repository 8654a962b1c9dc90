package main

import (
	"context"
	"flag"
)

var queueCommand = &command{
	name: "queue", args: "[COMMAND]", summary: "what waits in a store of queues, what died; retry, cancel, drain", local: true,
	examples: []example{
		{"earshot queue --store sqlite:jobs.db", "the queues of a store; $EARSHOT_STORE may name it"},
		{"earshot queue ls mail --state dead", "the dead items of one queue"},
	},
	members: []*command{
		queueStatsCommand, queueLsCommand, queueShowCommand, queueDeadCommand, queueRetryCommand,
		queueRedriveCommand, queueCancelCommand, queueDrainCommand, queueCronCommand,
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		a.storeFlag(fs)
		return nil
	},
}

// storeFlag is the flag of all commands that look into a store. Its default is what has been said so far.
func (a *app) storeFlag(fs *flag.FlagSet) {
	fs.StringVar(&a.store, "store", a.store, "`URL` of the store, as sqlite:jobs.db (default $EARSHOT_STORE)")
}

// isItemID tells the IDs that are drawn at random, of which some begin with a dash, from flags.
func isItemID(arg string) bool {
	const length = 22
	for _, c := range []byte(arg) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return len(arg) == length
}
