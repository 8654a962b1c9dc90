package bustest

import "github.com/earshot-go/earshot/bus"

// needs are what an engine has to claim, or its harness to be able to do, for a test to be about it. Where a claim is
// missing another test holds the engine to that: WithoutReplay, for one.
type needs []func(bus.Caps, Stream) (why string)

// missing returns what the engine lacks, or "".
func (n needs) missing(caps bus.Caps, s Stream) string {
	for _, need := range n {
		if why := need(caps, s); why != "" {
			return why
		}
	}
	return ""
}

func unless(there bool, why string) string {
	if there {
		return ""
	}
	return why
}

func replay(c bus.Caps, _ Stream) string   { return unless(c.Replay, "it does not claim Replay") }
func noReplay(c bus.Caps, _ Stream) string { return unless(!c.Replay, "it claims Replay") }
func ordered(c bus.Caps, _ Stream) string  { return unless(c.Ordered, "it does not claim Ordered") }
func limit(c bus.Caps, _ Stream) string {
	return unless(c.MaxBytes > 0 && c.MaxBytes <= 64<<20, "it claims no MaxBytes, or more than 64 MiB")
}

func trim(_ bus.Caps, s Stream) string { return unless(s.Trim != nil, "there is no Stream.Trim") }
func recreate(_ bus.Caps, s Stream) string {
	return unless(s.Recreate != nil, "there is no Stream.Recreate")
}
func breaking(_ bus.Caps, s Stream) string { return unless(s.Break != nil, "there is no Stream.Break") }
func deny(_ bus.Caps, s Stream) string     { return unless(s.Deny != nil, "there is no Stream.Deny") }
func restart(_ bus.Caps, s Stream) string {
	return unless(s.Restart != nil, "there is no Stream.Restart")
}
