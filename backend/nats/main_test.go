package nats_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// The test binary is also the server that tests kill: with childVar in its environment it runs one and nothing
// else.
func TestMain(m *testing.M) {
	if config := os.Getenv(childVar); config != "" {
		serve(config)
	}
	goleak.VerifyTestMain(m)
}
