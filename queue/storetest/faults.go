package storetest

// faults is the tests of Faults.
var faults = []testCase{
	{"F1KillWorkerMidHandler", false, killWorkerMidHandler, needs{children, durable}},
	{"F2KillProducerAfterCommitBeforeReply", false, killProducerAfterCommitBeforeReply, needs{children, durable}},
	{"F3KillStoreProcessLoop", false, killStoreProcessLoop, needs{children, durable}},
	{"F4CutWireDuringEnqueue", false, cutWireDuring("Enqueue"), needs{wire}},
	{"F4CutWireDuringLease", false, cutWireDuring("Lease"), needs{wire}},
	{"F4CutWireDuringSettle", false, cutWireDuring("Settle"), needs{wire}},
	{"F5FreezeConnection", false, freezeConnection, needs{wire, fenced}},
	{"F6RestartServer", true, restartServer, needs{restart}},
	{"F7ReaperRacesAck", false, reaperRacesAck, needs{maintainer, fenced}},
	{"F8TwoReapers", false, twoReapers, needs{maintainer}},
	{"F9DrainReleasesAll", false, drainReleasesAll, nil},
	{"F10RandomHistory", false, randomHistory, nil},

	{"AbsentThenPresent", false, absentThenPresent, needs{wire}},
	{"CutAndMended", false, cutAndMended, needs{wire}},
	{"WaitSurvivesCut", false, waitSurvivesCut, needs{wire, waker}},
	{"SlowWire", false, slowWire, needs{wire}},
	{"GarbageIsAnError", false, garbageIsAnError, needs{wire}},
	{"FreezeEndsInErrDisconnected", false, freezeEndsInErrDisconnected, needs{wire}},
	{"FrozenContextEnds", false, frozenContextEnds, needs{wire}},
	{"CloseWhileFrozen", false, closeWhileFrozen, needs{wire}},
}
