//go:build race

package earshot_test

const raceEnabled = true
