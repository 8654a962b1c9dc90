// Newuser is a web service that grows: a server creates users, a mailer welcomes them, and an event is all that they
// have in common. In one process or in two, in memory or over any engine, the only difference is the flags.
//
//	go run ./examples/newuser
//	go run ./examples/newuser -role server -bus sqlite:events.db
//	go run ./examples/newuser -role mailer -bus sqlite:events.db
//	curl -X POST http://127.0.0.1:8126/users/ann/new
//
// What to copy is in emitter.go, server.go and mailer.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/earshot-go/earshot/emitter"
	"github.com/earshot-go/earshot/tap"
	"github.com/earshot-go/earshot/tap/panel"
)

type config struct {
	role, bus            string
	listen, debug        string
	mail, resume         string
	grace                time.Duration
	serves, mails, alone bool
}

// A usageError is a mistake in the flags.
type usageError struct{ error }

func main() {
	log := log.New(os.Stderr, "newuser: ", 0)
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
		log.Printf("%s (-help lists the flags)", oneLine(err))
		os.Exit(2)
	case err != nil:
		log.Print(oneLine(err))
		os.Exit(1)
	}
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

func parse(args []string) (cfg config, err error) {
	fs := flag.NewFlagSet("newuser", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // one line says what is wrong
	fs.StringVar(&cfg.role, "role", "both", "what this process does: `server`, mailer or both")
	fs.StringVar(&cfg.bus, "bus", "mem", "`URL` of the engine: mem, sqlite:events.db, nats://…, redis://…, couchdb://…, rethinkdb://…")
	fs.StringVar(&cfg.listen, "listen", "127.0.0.1:8126", "`address` of the server; port 0 is any free port")
	fs.StringVar(&cfg.debug, "debug", "", "one more `address` for the tap page, which the server has at /debug/earshot/ anyway")
	fs.StringVar(&cfg.mail, "mail", "", "`file` that mails are appended to; standard output if empty")
	fs.StringVar(&cfg.resume, "resume", "", "`file` that says how far the mailer has come, so that the next one misses nobody")
	fs.DurationVar(&cfg.grace, "grace", 5*time.Second, "how long to wait at the end for what is under way")
	if err = fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(os.Stdout)
		fs.Usage()
		return cfg, err
	}
	cfg.serves, cfg.mails = cfg.role != "mailer", cfg.role != "server"
	cfg.alone = cfg.bus == "" || cfg.bus == "mem" || strings.HasPrefix(cfg.bus, "mem:")
	switch {
	case err != nil:
	case fs.NArg() > 0:
		err = fmt.Errorf("%q is no flag", fs.Arg(0))
	case cfg.role != "server" && cfg.role != "mailer" && cfg.role != "both":
		err = fmt.Errorf("-role %q: it is server, mailer or both", cfg.role)
	case cfg.role != "both" && cfg.alone:
		err = fmt.Errorf("-role %s needs a -bus that reaches other processes, as sqlite:events.db does", cfg.role)
	case cfg.resume != "" && (cfg.alone || !cfg.mails):
		err = errors.New("-resume is for a mailer, and needs a -bus that keeps events, as sqlite:events.db does")
	}
	if err != nil {
		err = usageError{err}
	}
	return cfg, err
}

// run works until ctx ends.
func run(ctx context.Context, cfg config, stdout io.Writer, log *log.Logger) (err error) {
	from, err := bookmark(cfg.resume).position()
	if err != nil {
		return fmt.Errorf("-resume: %w", err)
	}
	outbox, closeOutbox, err := openOutbox(cfg.mail, stdout)
	if err != nil {
		return fmt.Errorf("-mail: %w", err)
	}
	defer closeOutbox()
	e, err := openEmitter(cfg.bus, from)
	if err != nil {
		return usageError{fmt.Errorf("-bus: %w", err)}
	}
	defer func() { err = errors.Join(err, closeEmitter(e, cfg.grace)) }() // after the sites: they emit

	if err := report(e, log); err != nil {
		return err
	}
	if cfg.mails {
		if err := errors.Join((&mailer{outbox}).listen(e), bookmark(cfg.resume).keep(e)); err != nil {
			return err
		}
	}

	page := tap.Handler(nil, &tap.Options{Panels: []panel.Panel{emitter.Panel(e)}})
	defer page.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var sites sites
	defer func() { err = errors.Join(err, sites.shut(cfg.grace)) }()
	if cfg.serves {
		mux := http.NewServeMux()
		mux.Handle("/", newUserServer(e).handler())
		mux.Handle("/debug/earshot/", page)
		addr, err := sites.open(cfg.listen, mux, page, cancel)
		if err != nil {
			return fmt.Errorf("-listen: %w", err)
		}
		log.Printf("serving http://%s/users/NAME/new, and http://%[1]s/debug/earshot/ to look at", addr)
	}
	if cfg.debug != "" {
		addr, err := sites.open(cfg.debug, page, page, cancel)
		if err != nil {
			return fmt.Errorf("-debug: %w", err)
		}
		log.Printf("http://%s/debug/earshot/ to look at", addr)
	}
	if cfg.mails && e.Ready(ctx) == nil {
		log.Print("mailing new users")
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	log.Print("stopping")
	return nil
}

// sites are what this process serves.
type sites struct {
	servers []*http.Server
	wg      sync.WaitGroup
}

func (s *sites) open(address string, h http.Handler, page io.Closer, failed context.CancelCauseFunc) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	srv.RegisterOnShutdown(func() { page.Close() }) // its streams would have Shutdown wait
	s.servers = append(s.servers, srv)
	s.wg.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed(err)
		}
	})
	return l.Addr().String(), nil
}

func (s *sites) shut(grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var errs []error
	for _, srv := range s.servers {
		errs = append(errs, srv.Shutdown(ctx))
	}
	s.wg.Wait()
	return errors.Join(errs...)
}
