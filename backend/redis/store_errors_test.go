// An inside test: a disk that is full cannot be had everywhere, and with appendfsync always the server ends then.
package redis

import (
	"testing"

	"github.com/earshot-go/earshot/queue"
	"github.com/stretchr/testify/require"
)

func TestStoreMeaning(t *testing.T) {
	for said, want := range map[string]error{
		"MISCONF Errors writing to the AOF file: No space left on device":                        queue.ErrFull,
		"MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.": queue.ErrDenied,
		"LOADING Redis is loading the dataset in memory":                                         queue.ErrDisconnected,
		"BUSY Redis is busy running a script.":                                                   queue.ErrDisconnected,
		"NOPERM this user has no permissions":                                                    queue.ErrDenied,
		"OOM allow-oom flag is not set on the script":                                            queue.ErrFull,
		"ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'":   queue.ErrUnsupported,
	} {
		require.ErrorIs(t, storeMeaning(refusal(said)), want, said)
	}
	require.ErrorIs(t, storeMeaning(errReply), queue.ErrDamaged)
}
