package bustest_test

import (
	"testing"

	"github.com/earshot-go/earshot/bus/bustest"
)

func TestRun(t *testing.T) { bustest.Run(t, wireStream) }

func TestFaults(t *testing.T) { bustest.Faults(t, wireStream) }
