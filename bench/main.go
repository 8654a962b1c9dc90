// Command bench measures earshot against other in-process event buses, and against
// other libraries for durable work, on the same work, in the same run, and says
// which goals it meets.
//
//	go run ./bench            # everything, ten minutes
//	go run ./bench -quick     # two minutes, noisier
//	go run ./bench -only '^throughput/2x'
//
// A quick run is short for a bus that queues a lot: it is kinder to earshot than
// to kelindar/event. Numbers from different runs or machines are not comparable;
// ratios are. With -tags ts_omit_debugeventbus the binary is smaller, the numbers
// are the same.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"
)

// A section measures one thing and knows how to show it.
type section struct {
	name   string
	run    func(*runner)
	tables func(*runner) []table
}

// Memory goes before what makes a heap large, and throughput, the longest, last.
var sections = []section{
	{"idle", idle, idleTables},
	{"live", live, liveTables},
	{"memory", memory, memoryTables},
	{"latency", latency, latencyTables},
	{"churn", churn, churnTables},
	{"isolation", isolation, isolationTables},
	{"tap", tapped, tapTables},
	{"emitter", emitters, emitterTables},
	{"engines", overEngines, engineTables},
	{"queues", queues, queueTables},
	{"throughput", throughput, throughputTables},
}

func main() {
	if isQueueChild() {
		return
	}
	quick := flag.Bool("quick", false, "about two minutes: fewer rounds, smaller crowds")
	rounds := flag.Int("rounds", 0, "rounds per measurement (default 9, with -quick 3)")
	only := flag.String("only", "", "measure only paths that match this regexp, like '^idle' or '^throughput/1x8/(kelindar|earshot)'")
	md := flag.Bool("md", false, "print a Markdown document")
	flag.Parse()

	if *rounds <= 0 {
		*rounds = 9
		if *quick {
			*rounds = 3
		}
	}
	var filter *regexp.Regexp
	if *only != "" {
		var err error
		filter, err = regexp.Compile(*only)
		must(err)
	}
	r := newRunner(*rounds, *quick, filter)
	begin := time.Now()
	for _, s := range sections {
		s.run(r)
	}
	took := time.Since(begin).Round(time.Second)
	r.say(true, "measured in %v", took)
	if r.tty {
		fmt.Fprintln(r.progress)
	}
	header(os.Stdout, *md, *rounds, took)
	report(os.Stdout, r, *md)
}

func report(w io.Writer, r *runner, md bool) {
	var all []table
	for _, s := range sections {
		all = append(all, s.tables(r)...)
	}
	for _, t := range append(all, r.goalTable(), r.lossTable()) {
		if t.measured() {
			t.print(w, md)
		}
	}
	met := 0
	for _, g := range r.goals {
		if g.got <= g.limit {
			met++
		}
	}
	fmt.Fprintf(w, "\n%d of %d goals met.\n", met, len(r.goals))
}
