package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// header says what a reader needs to judge the numbers below it.
func header(w io.Writer, md bool, rounds int, took time.Duration) {
	lines := [][2]string{
		{"command", strings.Join(append([]string{"go run ./bench"}, os.Args[1:]...), " ")},
		{"machine", fmt.Sprintf("%s, %d cores, %s/%s", cpu(), runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH)},
		{"go", runtime.Version()},
		{"date", time.Now().UTC().Format("2006-01-02 15:04 UTC")},
		{"rounds", fmt.Sprintf("%d, taking turns; minimum for throughput and idle costs; took %v", rounds, took)},
	}
	if md {
		fmt.Fprint(w, "# earshot beside other event buses\n\n")
	}
	for _, l := range lines {
		if md {
			fmt.Fprintf(w, "- %s: %s\n", l[0], l[1])
		} else {
			fmt.Fprintf(w, "%-8s %s\n", l[0], l[1])
		}
	}
}

// cpu is the model's name where the system has it in a file.
func cpu() string {
	info, _ := os.ReadFile(filepath.FromSlash("/proc/cpuinfo"))
	for line := range strings.Lines(string(info)) {
		if key, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return "unknown processor"
}
