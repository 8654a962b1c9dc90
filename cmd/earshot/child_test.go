package main

import "os"

// becomeChild is what a process does that a test has started: it is the command itself, or the shell
// that runs it, with the fault that the test has planted.
func becomeChild() {
	if plant := os.Getenv("EARSHOT_TEST_PANIC"); plant != "" {
		times := 0
		testPlant = func(where string) {
			if where != plant {
				return
			}
			if times++; times == 2 { // the first is before the screen is ours, or with it
				panic("planted")
			}
		}
	}
	if os.Getenv("EARSHOT_TEST_SHELL") != "" {
		os.Exit(shell(os.Args[1:]))
	}
	os.Exit(realMain(os.Args[1:]))
}
