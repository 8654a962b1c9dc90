package bustest

// behaviour is the tests of Run.
var behaviour = []testCase{
	{"Caps", false, caps, nil},
	{"PublishNothing", false, publishNothing, nil},
	{"PublishThenTail", false, publishThenTail, nil},
	{"InvalidEventRefused", false, invalidEventRefused, nil},
	{"MaxBytes", false, maxBytes, needs{limit}},
	{"LargeBatch", false, largeBatch, nil},
	{"DuplicateCarriesSameID", false, duplicateCarriesSameID, nil},
	{"SelfEchoOnce", false, selfEchoOnce, nil},

	{"Fidelity", false, fidelity, nil},
	{"NonUTF8Data", false, nonUTF8Data, nil},
	{"PortableSize", false, portableSize, nil},
	{"OddNames", false, oddNames, nil},

	{"TailNowSeesOnlyLater", false, tailNowSeesOnlyLater, nil},
	{"TailStart", false, tailStart, needs{replay}},
	{"TailAtTime", false, tailAtTime, needs{replay}},
	{"PastEnds", false, pastEnds, needs{replay}},
	{"PastOfEmptyStreamEnds", false, pastOfEmptyStreamEnds, needs{replay}},
	{"HintSupersetOnly", false, hintSupersetOnly, nil},
	{"ManyFeeds", false, manyFeeds, nil},
	{"SlowConsumerBackpressure", false, slowConsumerBackpressure, nil},

	{"ResumeAfterToken", false, resumeAfterToken, needs{replay}},
	{"TokenBeforeFirstEvent", false, tokenBeforeFirstEvent, needs{replay}},
	{"TokenIsText", false, tokenIsText, needs{replay}},
	{"ForeignTokenRejected", false, foreignTokenRejected, needs{replay}},
	{"RecreatedStreamRejected", false, recreatedStreamRejected, needs{recreate}},
	{"GapReported", false, gapReported, needs{replay, trim}},
	{"NoGapAtTheEdge", false, noGapAtTheEdge, needs{replay, trim}},
	{"WithoutReplay", false, withoutReplay, needs{noReplay}},

	{"OrderPerPublisher", false, orderPerPublisher, needs{ordered}},
	{"ConcurrentPublishersNoLoss", false, concurrentPublishersNoLoss, nil},
	{"TwoClients", false, twoClients, nil},
	{"RandomHistory", false, randomHistory, needs{replay}},

	{"ContextEnds", false, contextEnds, nil},
	{"DeadlineEnds", false, deadlineEnds, nil},
	{"CloseUnblocksNext", false, closeUnblocksNext, nil},
	{"CloseEndsFeeds", false, closeEndsFeeds, nil},
	{"CloseIsFinal", false, closeIsFinal, nil},
	{"FeedCloseLeavesOthers", false, feedCloseLeavesOthers, nil},

	{"Denied", false, denied, needs{deny}},
	{"Broken", true, broken, needs{breaking}},
	{"ResumeAfterServerRestart", true, resumeAfterServerRestart, needs{restart}},
	{"CloseLeavesNothing", true, closeLeavesNothing, nil},
	{"IdleFeedsRest", true, idleFeedsRest, nil},
}
