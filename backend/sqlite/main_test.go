package sqlite

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain plays a child as well: tests that need another process run this binary again.
func TestMain(m *testing.M) {
	if role := os.Getenv("EARSHOT_CHILD"); role != "" {
		os.Exit(playChild(role))
	}
	goleak.VerifyTestMain(m)
}
