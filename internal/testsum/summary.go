package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// event is one line of "go test -json"; see "go doc test2json".
type event struct {
	Action      string
	Package     string
	ImportPath  string // build-output and build-fail only
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string // on a package's fail: the ImportPath that did not build
}

// counts are tests by their end.
type counts struct{ passed, failed, skipped int }

func (c *counts) addAll(d counts) {
	c.passed += d.passed
	c.failed += d.failed
	c.skipped += d.skipped
}

func (c counts) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.passed, c.failed, c.skipped)
}

// summary turns events into progress lines and, at the end, counts.
// It belongs to one goroutine.
type summary struct {
	w       io.Writer
	printed bool // something was written since the caller cleared it

	modules  []string
	byModule map[string]*counts
	total    counts
	failed   []string
	skipped  []string

	running map[string]*pkg
	builds  map[string][]string // build output by ImportPath
}

// pkg is a package whose tests run.
type pkg struct {
	tests  map[string]*test
	order  []string // tests by start, for a stable account of what never ended
	output []string // what no test printed
	counts counts
	last   string // the test started last, for signs of life
	began  time.Time
}

// test is one test, example, fuzz target or subtest.
type test struct {
	output []string
	end    string          // "pass", "fail", "skip"; "" while it runs
	below  map[string]bool // ends of its subtests
}

func newSummary(w io.Writer, modules []string) *summary {
	s := &summary{
		w:        w,
		modules:  modules,
		byModule: make(map[string]*counts),
		running:  make(map[string]*pkg),
		builds:   make(map[string][]string),
	}
	for _, m := range modules {
		s.byModule[m] = new(counts)
	}
	return s
}

// fail counts a failure that no test stands for.
func (s *summary) fail(what string) {
	s.total.failed++
	s.failed = append(s.failed, what)
}

func (s *summary) failures() int { return s.total.failed }

func (s *summary) line(format string, args ...any) {
	fmt.Fprintf(s.w, format+"\n", args...)
	s.printed = true
}

// add takes the next event.
func (s *summary) add(ev event) {
	switch ev.Action {
	case "build-output":
		s.builds[ev.ImportPath] = append(s.builds[ev.ImportPath], ev.Output)
		return
	case "build-fail":
		return // the packages that needed it fail with FailedBuild set
	}
	p := s.running[ev.Package]
	if p == nil {
		p = &pkg{tests: make(map[string]*test), began: time.Now()}
		s.running[ev.Package] = p
	}
	if ev.Test == "" {
		s.addPackage(p, ev)
		return
	}
	t := p.tests[ev.Test]
	if t == nil {
		t = &test{below: make(map[string]bool)}
		p.tests[ev.Test] = t
		p.order = append(p.order, ev.Test)
		p.last = ev.Test
	}
	switch ev.Action {
	case "output":
		t.output = append(t.output, ev.Output)
	case "pass", "fail", "skip":
		t.end = ev.Action
		s.endTest(ev.Package, p, ev.Test, t)
	}
}

func (s *summary) addPackage(p *pkg, ev event) {
	switch ev.Action {
	case "output":
		p.output = append(p.output, ev.Output)
	case "pass", "fail", "skip":
		s.endPackage(p, ev)
		delete(s.running, ev.Package)
	}
}

// endTest counts t. A test with subtests is not counted on top of them, unless
// it failed or was skipped by itself: "1 failed" should mean one thing to mend.
func (s *summary) endTest(path string, p *pkg, name string, t *test) {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		if parent := p.tests[name[:i]]; parent != nil {
			parent.below[t.end] = true
		}
	}
	own := len(t.below) == 0 || t.end != "pass" && !t.below[t.end]
	switch t.end {
	case "pass":
		if own {
			p.counts.passed++
		}
		t.output = nil // only now is it known that nobody will read it
	case "skip":
		if own {
			p.counts.skipped++
			s.skipped = append(s.skipped, fmt.Sprintf("%s %s: %s", path, name, reason(t.output)))
		}
	case "fail":
		if own {
			p.counts.failed++
			s.failed = append(s.failed, path+" "+name)
		}
	}
}

// endPackage prints the package's line and accounts for what ended with it.
func (s *summary) endPackage(p *pkg, ev event) {
	if ev.Action == "fail" {
		s.endFailed(p, ev)
	}
	s.total.addAll(p.counts)
	if m := s.module(ev.Package); m != "" {
		s.byModule[m].addAll(p.counts)
	}
	word := map[string]string{"pass": "ok  ", "fail": "FAIL", "skip": "-   "}[ev.Action]
	if p.counts == (counts{}) {
		s.line("%s %s: no tests", word, ev.Package)
		return
	}
	cached := ""
	if slices.ContainsFunc(p.output, func(l string) bool { return strings.Contains(l, "\t(cached)") }) {
		cached = ", cached"
	}
	s.line("%s %s: %v (%.1fs%s)", word, ev.Package, p.counts, ev.Elapsed, cached)
}

// endFailed finds a name for every failure of a package and prints the output.
func (s *summary) endFailed(p *pkg, ev event) {
	for _, name := range p.order {
		// A panic, a timeout or os.Exit leaves tests without an end. Benchmarks
		// never get one, and a parent is told of by its subtest.
		t := p.tests[name]
		if t.end != "" || strings.HasPrefix(name, "Benchmark") || s.hasOpenSubtest(p, name) {
			continue
		}
		t.end = "fail"
		p.counts.failed++
		s.failed = append(s.failed, ev.Package+" "+name+" (did not end)")
	}
	if p.counts.failed == 0 {
		p.counts.failed++
		what := ev.Package + " (outside of its tests)"
		if ev.FailedBuild != "" {
			what = ev.Package + " (did not build)"
		}
		s.failed = append(s.failed, what)
	}
	s.line("")
	s.write(s.builds[ev.FailedBuild])
	for _, name := range p.order {
		if t := p.tests[name]; t.end == "fail" || t.end == "" {
			s.write(t.output)
		}
	}
	s.write(p.output)
}

// cut ends the packages that had not ended when the events stopped, as when
// the command was killed: without it their failures would go uncounted.
func (s *summary) cut() {
	for _, path := range slices.Sorted(maps.Keys(s.running)) {
		s.addPackage(s.running[path], event{Action: "fail", Package: path})
	}
}

func (s *summary) hasOpenSubtest(p *pkg, name string) bool {
	return slices.ContainsFunc(p.order, func(other string) bool {
		return strings.HasPrefix(other, name+"/") && p.tests[other].end == ""
	})
}

func (s *summary) write(output []string) {
	for _, o := range output {
		if strings.HasPrefix(o, "=== ") { // RUN, PAUSE, CONT, NAME
			continue
		}
		fmt.Fprint(s.w, o)
		s.printed = true
	}
}

// alive tells what runs, when nothing else has been printed for a while.
func (s *summary) alive() {
	if len(s.running) == 0 {
		s.line("...  building")
		return
	}
	for _, path := range slices.Sorted(maps.Keys(s.running)) {
		p := s.running[path]
		s.line("...  %s: %v so far, %.0fs, last started %s", path, p.counts, time.Since(p.began).Seconds(), p.last)
	}
}

// module returns the module of a package: the longest path it lies under.
func (s *summary) module(path string) string {
	best := ""
	for _, m := range s.modules {
		if (path == m || strings.HasPrefix(path, m+"/")) && len(m) > len(best) {
			best = m
		}
	}
	return best
}

// print writes the summary. The counts come last, alone on their line.
func (s *summary) print(notes []string) {
	section := func(title string, items []string) {
		if len(items) == 0 {
			return
		}
		s.line("\n%s", title)
		for _, item := range items {
			s.line("  %s", item)
		}
	}
	var modules []string
	for _, m := range s.modules {
		modules = append(modules, fmt.Sprintf("%s: %v", m, *s.byModule[m]))
	}
	section("Modules", modules)
	section("Skipped", s.skipped)
	section("Notes", notes)
	section("Failed", s.failed)
	s.line("\n%v", s.total)
}

// reason finds why a test was skipped: what it printed apart from the frame
// the testing package puts around it.
func reason(output []string) string {
	var words []string
	for _, o := range output {
		o = strings.TrimSpace(o)
		if o == "" || strings.HasPrefix(o, "=== ") || strings.HasPrefix(o, "--- ") {
			continue
		}
		words = append(words, o)
	}
	if len(words) == 0 {
		return "no reason given"
	}
	return strings.Join(words, " ")
}
