package sqlite

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/storetest"
)

// TestMain plays a child as well: tests that need another process run this binary again.
func TestMain(m *testing.M) {
	storetest.Main(queue.Open)
	if role := os.Getenv("EARSHOT_CHILD"); role != "" {
		os.Exit(playChild(role))
	}
	goleak.VerifyTestMain(m)
}
