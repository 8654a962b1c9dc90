package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/earshot-go/earshot/internal/need"
	"go.uber.org/goleak"
)

// One browser serves all tests of the binary, started by the first that needs
// it: starting takes longer than most tests. What tests could see of each other
// is kept apart by a browser context (a profile of its own) for each.
var browser struct {
	once sync.Once
	ctx  context.Context
	stop func() error
	err  error
}

// flags keep the browser from talking to anybody but the page, from asking
// for hardware that a test machine does not have, and from slowing down pages
// that it takes to be out of sight.
var flags = []chromedp.ExecAllocatorOption{
	chromedp.Flag("headless", true),
	chromedp.Flag("no-sandbox", true), // the sandbox does not work as root, nor in most containers
	chromedp.Flag("disable-gpu", true),
	chromedp.Flag("disable-dev-shm-usage", true),
	chromedp.Flag("disable-quic", true),
	chromedp.Flag("no-first-run", true),
	chromedp.Flag("no-default-browser-check", true),
	chromedp.Flag("disable-background-networking", true),
	chromedp.Flag("disable-component-update", true),
	chromedp.Flag("disable-sync", true),
	chromedp.Flag("disable-default-apps", true),
	chromedp.Flag("disable-extensions", true),
	chromedp.Flag("disable-breakpad", true),
	chromedp.Flag("disable-background-timer-throttling", true),
	chromedp.Flag("disable-backgrounding-occluded-windows", true),
	chromedp.Flag("disable-renderer-backgrounding", true),
	chromedp.Flag("force-color-profile", "srgb"),
	chromedp.Flag("password-store", "basic"),
	chromedp.Flag("metrics-recording-only", true),
	chromedp.WindowSize(1280, 800),
}

// find returns the path of the browser, or "".
func find() string {
	if path := os.Getenv("EARSHOT_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// start returns the context of the browser, or skips or fails the test.
func start(t testing.TB) context.Context {
	t.Helper()
	path := find()
	if path == "" {
		const why = "no browser: set EARSHOT_CHROMIUM to the path of Chromium or Chrome"
		need.Missing(t, why)
	}
	browser.once.Do(func() {
		// No user-data-dir here: then chromedp makes a new one, and afterwards
		// removes it and what is left of the processes that used it.
		alloc, freeAlloc := chromedp.NewExecAllocator(context.Background(),
			append([]chromedp.ExecAllocatorOption{chromedp.ExecPath(path)}, flags...)...)
		ctx, free := chromedp.NewContext(alloc)
		if browser.err = chromedp.Do(ctx); browser.err != nil {
			free()
			freeAlloc()
			return
		}
		pid := chromedp.FromContext(ctx).Browser.Process().Pid
		profile := profileOf(pid)
		browser.ctx = ctx
		browser.stop = func() error {
			quit, cancel := context.WithTimeout(ctx, 10*time.Second)
			err := chromedp.Cancel(quit)
			cancel()
			free()
			freeAlloc()
			if left := usersOf(profile); len(left) > 0 {
				return fmt.Errorf("processes of the browser are still there: %s", strings.Join(left, ", "))
			}
			return err
		}
	})
	if browser.err != nil {
		t.Fatalf("%s does not start: %v", path, browser.err)
	}
	return browser.ctx
}

// profileOf returns the --user-data-dir argument of a process, where /proc is.
func profileOf(pid int) string {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	for arg := range bytes.SplitSeq(line, []byte{0}) {
		if bytes.HasPrefix(arg, []byte("--user-data-dir=")) {
			return string(arg)
		}
	}
	return ""
}

// usersOf returns the ids of processes that have the argument.
func usersOf(arg string) (pids []string) {
	if arg == "" || runtime.GOOS != "linux" {
		return nil
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		if line, err := os.ReadFile(path); err == nil && bytes.Contains(line, []byte(arg)) {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

// A run is testing.M, and stops the browser before goleak looks.
type run struct{ m *testing.M }

func (r run) Run() int {
	code := r.m.Run()
	if browser.stop != nil {
		if err := browser.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: stop the browser:", err)
			code = max(code, 1)
		}
	}
	return code
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(run{m})
}
