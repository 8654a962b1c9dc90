package bustest

// behaviour is the tests of Run.
var behaviour = []testCase{
	{"Caps", false, caps},
	{"PublishNothing", false, publishNothing},
	{"PublishThenTail", false, publishThenTail},
	{"InvalidEventRefused", false, invalidEventRefused},
	{"MaxBytes", false, maxBytes},
	{"LargeBatch", false, largeBatch},
	{"DuplicateCarriesSameID", false, duplicateCarriesSameID},
	{"SelfEchoOnce", false, selfEchoOnce},

	{"Fidelity", false, fidelity},
	{"NonUTF8Data", false, nonUTF8Data},
	{"PortableSize", false, portableSize},
	{"OddNames", false, oddNames},

	{"TailNowSeesOnlyLater", false, tailNowSeesOnlyLater},
	{"TailStart", false, tailStart},
	{"TailAtTime", false, tailAtTime},
	{"PastEnds", false, pastEnds},
	{"PastOfEmptyStreamEnds", false, pastOfEmptyStreamEnds},
	{"HintSupersetOnly", false, hintSupersetOnly},
	{"ManyFeeds", false, manyFeeds},
	{"SlowConsumerBackpressure", false, slowConsumerBackpressure},

	{"ResumeAfterToken", false, resumeAfterToken},
	{"TokenBeforeFirstEvent", false, tokenBeforeFirstEvent},
	{"TokenIsText", false, tokenIsText},
	{"ForeignTokenRejected", false, foreignTokenRejected},
	{"RecreatedStreamRejected", false, recreatedStreamRejected},
	{"GapReported", false, gapReported},
	{"NoGapAtTheEdge", false, noGapAtTheEdge},
	{"WithoutReplay", false, withoutReplay},

	{"OrderPerPublisher", false, orderPerPublisher},
	{"ConcurrentPublishersNoLoss", false, concurrentPublishersNoLoss},
	{"TwoClients", false, twoClients},
	{"RandomHistory", false, randomHistory},

	{"ContextEnds", false, contextEnds},
	{"DeadlineEnds", false, deadlineEnds},
	{"CloseUnblocksNext", false, closeUnblocksNext},
	{"CloseEndsFeeds", false, closeEndsFeeds},
	{"CloseIsFinal", false, closeIsFinal},
	{"FeedCloseLeavesOthers", false, feedCloseLeavesOthers},

	{"Denied", false, denied},
	{"Broken", true, broken},
	{"ResumeAfterServerRestart", true, resumeAfterServerRestart},
	{"CloseLeavesNothing", true, closeLeavesNothing},
	{"IdleFeedsRest", true, idleFeedsRest},
}
