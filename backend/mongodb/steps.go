package mongodb

import (
	"context"
	"errors"
	"net"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

const (
	dialTime = 2 * time.Second
	// findTime is how long a call waits for a server that it can use. A connection that takes longer is there for the
	// next call.
	findTime  = time.Second
	quietTime = 5 * time.Second // for an answer
	leaveTime = 50 * time.Millisecond
	// bulk is how many statements go in one message: a server that has to look at all documents for each, as
	// FerretDB does, should answer in time.
	bulk = 500
)

// listens returns an error if none of the hosts takes connections. The driver would try again until findTime is over.
func (s *Store) listens(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	errs := make(chan error, len(s.at.hosts))
	for _, host := range s.at.hosts {
		go func() { // ends with ctx
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
			if err == nil {
				c.Close()
			}
			errs <- err
		}()
	}
	var all []error
	for range s.at.hosts {
		err := <-errs
		if err == nil {
			return nil
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// connect makes a link if there is none. It connects when it is used.
func (s *Store) connect(ctx context.Context) error {
	if s.current() != nil {
		return nil
	}
	if err := s.listens(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	yes := true
	o := options.Client().ApplyURI(s.at.uri).
		SetConnectTimeout(dialTime).SetServerSelectionTimeout(findTime).
		// What is tried again, and when, is for the code above the stores.
		SetRetryReads(false).SetRetryWrites(false).
		SetReadPreference(readpref.Primary()).
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &yes})
	client, err := mongo.Connect(o)
	if err != nil {
		return err
	}
	s.link = &link{client, client.Database(s.at.database)}
	return nil
}

func (s *Store) current() *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link
}

// drop closes a link over which nothing comes any more. The driver would go on to connect until it succeeds; so the
// next call makes a new one, and finds a server that is back at once.
func (s *Store) drop(l *link) {
	s.mu.Lock()
	mine := l != nil && s.link == l
	if mine {
		s.link, s.ready = nil, false
		s.dropped.Add(1)
	}
	s.mu.Unlock()
	if !mine {
		return
	}
	s.clock.forget()
	defer s.dropped.Done()
	// The client takes leave of its server first, and goes on to look for it in the meantime; then it ends, and cuts
	// off other calls that have the link.
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	l.client.Disconnect(ctx)
}

// A table is a collection. Each method is one step: a message to the server and its answer. What a call has to do in
// several collections, or with documents that depend on each other, is done in steps of which each leaves something
// that can be gone on with.
type table struct {
	s    *Store
	name string
}

func (s *Store) items() table   { return table{s, s.opts.Prefix + "_items"} }
func (s *Store) keys() table    { return table{s, s.opts.Prefix + "_keys"} }
func (s *Store) serials() table { return table{s, s.opts.Prefix + "_serials"} }
func (s *Store) meta() table    { return table{s, s.opts.Prefix + "_meta"} }

// step runs one, which has an answer in time or none.
func (s *Store) step(ctx context.Context, run func(context.Context, *mongo.Database) error) error {
	if s.fault != nil {
		if err := s.fault(); err != nil {
			return err
		}
	}
	l := s.current()
	if l == nil {
		return errLost
	}
	// Without the caller's deadline, so that it is the caller's context that ends then, and not the connection.
	limited, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), quietTime, errQuiet)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	err := run(limited, l.db)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limited.Err() != nil:
		return errQuiet
	case unreachable(err):
		s.drop(l)
	}
	return err
}

// find calls each with the documents that a filter lets through. Each may keep what it gets.
func (t table) find(ctx context.Context, filter any, o *options.FindOptionsBuilder, each func(bson.Raw) error) error {
	return t.s.step(ctx, func(ctx context.Context, db *mongo.Database) error {
		c, err := db.Collection(t.name).Find(ctx, filter, o)
		if err != nil {
			return err
		}
		defer c.Close(ctx)
		for c.Next(ctx) {
			if err := each(append(bson.Raw(nil), c.Current...)); err != nil {
				return err
			}
		}
		return c.Err()
	})
}

// rows returns documents as items. What is none is left out: it is somebody else's.
func (t table) rows(ctx context.Context, filter any, o *options.FindOptionsBuilder) (found []row, err error) {
	found, _, err = t.all(ctx, filter, o)
	return found, err
}

// all is rows, and returns how many documents there were.
func (t table) all(ctx context.Context, filter any, o *options.FindOptionsBuilder) (found []row, n int, err error) {
	err = t.find(ctx, filter, o, func(raw bson.Raw) error {
		var r row
		if bson.Unmarshal(raw, &r) == nil && r.ID != "" && r.Queue != "" && !r.Born.IsZero() {
			found = append(found, r)
		}
		n++
		return nil
	})
	return found, n, err
}

// insert stores documents, in this order as far as they do not fail, and returns which of them were there already.
func (t table) insert(ctx context.Context, docs []any) (there []int, err error) {
	err = t.s.step(ctx, func(ctx context.Context, db *mongo.Database) error {
		_, err := db.Collection(t.name).InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
		there, err = duplicates(err)
		return err
	})
	return there, err
}

// update runs statements, in steps of some hundred, and returns how many documents they were for.
func (t table) update(ctx context.Context, statements ...mongo.WriteModel) (matched, deleted int, err error) {
	for len(statements) > 0 {
		n := min(bulk, len(statements))
		err = t.s.step(ctx, func(ctx context.Context, db *mongo.Database) error {
			res, err := db.Collection(t.name).BulkWrite(ctx, statements[:n], options.BulkWrite().SetOrdered(false))
			if err != nil {
				return err
			}
			matched += int(res.MatchedCount)
			deleted += int(res.DeletedCount)
			return nil
		})
		if err != nil {
			return matched, deleted, err
		}
		statements = statements[n:]
	}
	return matched, deleted, nil
}

// group calls each with the answers of a pipeline.
func (t table) group(ctx context.Context, pipeline bson.A, each func(bson.Raw)) error {
	return t.s.step(ctx, func(ctx context.Context, db *mongo.Database) error {
		c, err := db.Collection(t.name).Aggregate(ctx, pipeline)
		if err != nil {
			return err
		}
		defer c.Close(ctx)
		for c.Next(ctx) {
			each(c.Current)
		}
		return c.Err()
	})
}

// take changes the first document of an order, and returns it as it is then, or nil if there is none.
func (t table) take(ctx context.Context, filter, change, order any) (r *row, err error) {
	o := options.FindOneAndUpdate().SetReturnDocument(options.After)
	if order != nil {
		o.SetSort(order)
	}
	err = t.s.step(ctx, func(ctx context.Context, db *mongo.Database) error {
		var got row
		err := db.Collection(t.name).FindOneAndUpdate(ctx, filter, change, o).Decode(&got)
		switch {
		case errors.Is(err, mongo.ErrNoDocuments):
			return nil
		case err != nil:
			return err
		}
		r = &got
		return nil
	})
	return r, err
}

// get decodes a document, and reports whether it is there.
func (t table) get(ctx context.Context, id string, into any) (there bool, err error) {
	err = t.find(ctx, bson.M{"_id": id}, options.Find(), func(raw bson.Raw) error {
		there = true
		if err := bson.Unmarshal(raw, into); err != nil {
			return garbled(t.name, raw, err)
		}
		return nil
	})
	return there, err
}

func updateOne(filter, change any) mongo.WriteModel {
	return mongo.NewUpdateOneModel().SetFilter(filter).SetUpdate(change)
}

func updateMany(filter, change any) mongo.WriteModel {
	return mongo.NewUpdateManyModel().SetFilter(filter).SetUpdate(change)
}

func deleteOne(filter any) mongo.WriteModel { return mongo.NewDeleteOneModel().SetFilter(filter) }

func deleteMany(filter any) mongo.WriteModel { return mongo.NewDeleteManyModel().SetFilter(filter) }

func in[T any](values []T) bson.M { return bson.M{"$in": values} }

func set(fields bson.M) bson.M { return bson.M{"$set": fields} }
