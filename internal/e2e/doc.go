// Package e2e has no code but tests: it looks at the tap page with a real
// browser, as a visitor would, and fails on what a visitor would never see in
// a unit test: an error on the console, a violation of the content security
// policy, a request to somebody else's server, text that cannot be read.
//
// The tests need Chromium. ./scripts/test installs it where it can and names it
// in EARSHOT_CHROMIUM; without it they are skipped, or fail if CI=true.
//
//	EARSHOT_CHROMIUM=/usr/bin/chromium go test ./internal/e2e
//
// The numbers in test names (TestUX18…) are those of the project's list of
// cases for the page. The pictures in docs are made by
//
//	go test ./internal/e2e -run TestPictures -pictures
package e2e
