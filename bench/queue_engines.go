package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"

	_ "github.com/earshot-go/earshot/backend/mongodb"
	_ "github.com/earshot-go/earshot/backend/postgres"
	"github.com/earshot-go/earshot/internal/ferretserver"
	"github.com/earshot-go/earshot/internal/pgserver"
	_ "github.com/earshot-go/earshot/queue/memstore"
)

// A queueServer is an engine that runs.
type queueServer struct {
	address string // URL of a server; empty in this process
	prefix  string // before the names of what is put there
	dir     string // of files
	option  string // of the URL, that has the name of a store
	close   func() error
}

// url returns the address of a store of its own.
func (s *queueServer) url(name string) string {
	switch {
	case s.option != "":
		return s.at(s.address, name)
	case s.dir != "":
		return "sqlite:" + s.file(name)
	}
	return "mem:"
}

// at returns a server's URL with the name of a store.
func (s *queueServer) at(address, name string) string {
	u, err := url.Parse(address)
	must(err)
	query := u.Query()
	query.Set(s.option, s.prefix+name)
	u.RawQuery = query.Encode()
	return u.String()
}

func (s *queueServer) file(name string) string {
	return filepath.ToSlash(filepath.Join(s.dir, name+".db"))
}

func startMemory() (*queueServer, error) {
	return &queueServer{close: func() error { return nil }}, nil
}

func startSQLite() (*queueServer, error) {
	dir, err := os.MkdirTemp("", "earshot-bench")
	return &queueServer{dir: dir, close: func() error { return os.RemoveAll(dir) }}, err
}

func startPostgres() (*queueServer, error) {
	s := &queueServer{address: os.Getenv("EARSHOT_POSTGRES_URL"), prefix: fmt.Sprintf("earshot_bench_%d_", os.Getpid()), option: "schema"}
	if s.address != "" {
		s.close = s.dropSchemas
		return s, nil
	}
	own, err := pgserver.Start(pgserver.Options{Fsync: true, Settings: []string{"max_connections = 300"}})
	if errors.Is(err, pgserver.ErrMissing) {
		return nil, missingError{"set EARSHOT_POSTGRES_URL, or install PostgreSQL"}
	}
	if err != nil {
		return nil, err
	}
	s.address, s.close = own.URL(), own.Stop
	return s, nil
}

// dropSchemas leaves somebody else's server as it was.
func (s *queueServer) dropSchemas() error {
	c, err := pgx.Connect(ctx, s.address)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	rows, err := c.Query(ctx, "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, $1)", s.prefix)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range names {
		_, err2 := c.Exec(ctx, "DROP SCHEMA "+pgx.Identifier{name}.Sanitize()+" CASCADE")
		err = errors.Join(err, err2)
	}
	return err
}

// startRedis starts a server that has written what it answers, as a store of jobs should.
func startRedis() (*queueServer, error) {
	r, err := startRedisWith("always")
	if err != nil {
		return nil, err
	}
	return &queueServer{address: r.address, prefix: r.prefix, option: "namespace", close: r.close}, nil
}

func startMongoDB() (*queueServer, error) {
	s := &queueServer{address: os.Getenv("EARSHOT_MONGODB_URL"), prefix: fmt.Sprintf("bench_%d_", os.Getpid()), option: "prefix"}
	if s.address != "" {
		s.close = s.dropCollections
		return s, nil
	}
	if os.Getenv("EARSHOT_FERRET_SERVER") == "" {
		if _, err := exec.LookPath("go"); err != nil {
			return nil, missingError{"set EARSHOT_MONGODB_URL or EARSHOT_FERRET_SERVER"}
		}
	}
	own, err := ferretserver.Start()
	if errors.Is(err, ferretserver.ErrMissing) {
		return nil, missingError{"set EARSHOT_MONGODB_URL or EARSHOT_FERRET_SERVER"}
	}
	if err != nil {
		return nil, err
	}
	s.address, s.close = strings.TrimSuffix(own.URL(), "/")+"/earshot", own.Stop
	return s, nil
}

// dropCollections leaves somebody else's server as it was.
func (s *queueServer) dropCollections() error {
	at, err := connstring.ParseAndValidate(s.address)
	if err != nil {
		return err
	}
	client, err := mongo.Connect(options.Client().ApplyURI(s.address))
	if err != nil {
		return err
	}
	db := client.Database(cmp.Or(at.Database, "earshot"))
	names, err := db.ListCollectionNames(ctx, bson.D{})
	for _, name := range names {
		if strings.HasPrefix(name, s.prefix) {
			err = errors.Join(err, db.Collection(name).Drop(ctx))
		}
	}
	return errors.Join(err, client.Disconnect(ctx))
}
