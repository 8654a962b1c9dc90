// Onboarding is a customer satisfaction team that forgets nobody: who signs up is welcomed at once and asked how it went
// a week later, whatever is killed in between.
//
//	go run ./examples/onboarding -week 20s
//	curl -X POST http://127.0.0.1:8127/users/ann
//
// Kill it with kill -9 during that week, start it again, and the mail still comes. What to copy is in team.go and
// server.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	_ "github.com/earshot-go/earshot/backend/mongodb"
	_ "github.com/earshot-go/earshot/backend/postgres"
	_ "github.com/earshot-go/earshot/backend/redis"
	_ "github.com/earshot-go/earshot/backend/sqlite"
	"github.com/earshot-go/earshot/queue"
	_ "github.com/earshot-go/earshot/queue/memstore"
	"github.com/earshot-go/earshot/tap"
	"github.com/earshot-go/earshot/tap/panel"
)

type config struct {
	role, store, listen, mail string
	week, ttl, grace          time.Duration
}

// A usageError is a mistake in the flags.
type usageError struct{ error }

func main() {
	log := log.New(os.Stderr, "onboarding: ", 0)
	cfg, err := parse(os.Args[1:])
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop) // a second signal ends the program at once
		err = run(ctx, cfg, os.Stdout, log)
		stop()
	}
	var usage usageError
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.As(err, &usage):
		log.Printf("%v (-help lists the flags)", err)
		os.Exit(2)
	case err != nil:
		log.Print(strings.NewReplacer("\n\t", " ", "\n", "; ").Replace(err.Error())) // one line
		os.Exit(1)
	}
}

func parse(args []string) (cfg config, err error) {
	fs := flag.NewFlagSet("onboarding", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // one line says what is wrong
	fs.StringVar(&cfg.role, "role", "all", "what this process does: `web` takes users, team writes to them, all does both")
	fs.StringVar(&cfg.store, "store", "sqlite:onboarding.db", "`URL` of the store: sqlite:FILE, postgres://…, redis://…, mongodb://…, or mem: which is gone at the end")
	fs.StringVar(&cfg.listen, "listen", "127.0.0.1:8127", "`address` of the server; port 0 is any free port")
	fs.StringVar(&cfg.mail, "mail", "", "`file` that mails are appended to; standard output if empty")
	fs.DurationVar(&cfg.week, "week", week, "how long a week takes, to watch one pass")
	fs.DurationVar(&cfg.ttl, "ttl", 30*time.Second, "after which time others take over what a process that died was at")
	fs.DurationVar(&cfg.grace, "grace", 5*time.Second, "how long to wait at the end for what is under way")
	if err = fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(os.Stdout)
		fs.Usage()
		return cfg, err
	}
	switch {
	case err != nil:
	case fs.NArg() > 0:
		err = fmt.Errorf("%q is no flag", fs.Arg(0))
	case cfg.role != "web" && cfg.role != "team" && cfg.role != "all":
		err = fmt.Errorf("-role %q: it is web, team or all", cfg.role)
	case cfg.role != "all" && cfg.store == "mem:":
		err = fmt.Errorf("-role %s needs a -store that other processes share, as sqlite:onboarding.db is", cfg.role)
	case cfg.week <= 0:
		err = fmt.Errorf("-week %v: it is more than 0", cfg.week)
	}
	if err != nil {
		err = usageError{err}
	}
	return cfg, err
}

// run works until ctx ends.
func run(ctx context.Context, cfg config, stdout io.Writer, log *log.Logger) (err error) {
	store, err := queue.Open(cfg.store)
	if err != nil {
		return usageError{fmt.Errorf("-store: %w", err)}
	}
	mails, closeMails, err := openMails(cfg.mail, stdout)
	if err != nil {
		return errors.Join(fmt.Errorf("-mail: %w", err), store.Close(ctx))
	}
	defer closeMails() // after the last handler
	q := queue.New(store, &queue.Options{Work: queue.Work{TTL: cfg.ttl}})
	defer func() { err = errors.Join(err, shut(q, store, cfg.grace)) }()

	numbers := &numbers{}
	if err := begin(ctx, cfg, q, mails, numbers); err != nil {
		if ctx.Err() != nil {
			return nil // asked to end before it has begun
		}
		return err
	}
	if cfg.role == "team" {
		log.Print("at work; Ctrl-C ends it")
		<-ctx.Done()
		return nil
	}
	page := tap.Handler(nil, &tap.Options{Panels: []panel.Panel{queue.Panel(q)}})
	return serve(ctx, cfg.listen, cfg.grace, (&server{q, numbers, page}).handler(), func() { page.Close() }, log)
}

// begin has this process work on the queues of its role.
func begin(ctx context.Context, cfg config, q *queue.Queue, mails *mails, numbers *numbers) error {
	if err := bindTeam(ctx, q); err != nil {
		return err
	}
	if cfg.role != "web" {
		if err := (&team{q: q, mails: mails, week: cfg.week}).start(ctx); err != nil {
			return err
		}
	}
	if cfg.role != "team" {
		return numbers.start(ctx, q)
	}
	return nil
}

// shut ends the work: what has begun is finished, or given back.
func shut(q *queue.Queue, store queue.Store, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := q.Close(ctx)
	closing, stop := context.WithTimeout(context.Background(), grace)
	defer stop()
	return errors.Join(err, store.Close(closing))
}
