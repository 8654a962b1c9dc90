package main

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/internal/ferretserver"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

func connect(t *testing.T, s *ferretserver.Server) *mongo.Client {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(s.URL()))
	require.NoError(t, err)
	t.Cleanup(func() { c.Disconnect(context.Background()) })
	return c
}

// each runs f in n goroutines and returns what went wrong.
func each(n int, f func() error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func TestServer(t *testing.T) {
	begin := time.Now()
	s := ferretserver.ForTest(t)
	t.Logf("started in %v", time.Since(begin))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := connect(t, s)
	db := client.Database("test")

	var hello struct{ LocalTime time.Time }
	require.NoError(t, db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello))
	require.WithinDuration(t, time.Now(), hello.LocalTime, time.Minute)

	jobs := db.Collection("jobs")
	const count = 200
	for i := range count {
		_, err := jobs.InsertOne(ctx, bson.D{{Key: "_id", Value: i}, {Key: "owner", Value: ""}})
		require.NoError(t, err)
	}
	_, err := jobs.InsertOne(ctx, bson.D{{Key: "_id", Value: 7}})
	require.True(t, mongo.IsDuplicateKeyError(err), "%v", err)

	// Nobody gets a job that somebody else has.
	var mu sync.Mutex
	taken := map[int]int{}
	require.NoError(t, each(16, func() error {
		for {
			var job struct {
				ID int `bson:"_id"`
			}
			err := jobs.FindOneAndUpdate(ctx, bson.D{{Key: "owner", Value: ""}}, bson.D{{Key: "$set", Value: bson.D{{Key: "owner", Value: "x"}}}},
				options.FindOneAndUpdate().SetSort(bson.D{{Key: "_id", Value: 1}})).Decode(&job)
			if errors.Is(err, mongo.ErrNoDocuments) {
				return nil
			}
			if err != nil {
				return err
			}
			mu.Lock()
			taken[job.ID]++
			mu.Unlock()
		}
	}))
	require.Len(t, taken, count)
	for id, times := range taken {
		require.Equal(t, 1, times, "job %d", id)
	}

	numbers := db.Collection("numbers")
	_, err = numbers.InsertOne(ctx, bson.D{{Key: "_id", Value: "n"}, {Key: "n", Value: 0}})
	require.NoError(t, err)
	require.NoError(t, each(8, func() error {
		for range 25 {
			if _, err := numbers.UpdateByID(ctx, "n", bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}}); err != nil {
				return err
			}
		}
		return nil
	}))
	require.NoError(t, s.Kill())
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	require.Error(t, client.Ping(short, nil))
	require.NoError(t, s.Kill(), "again")
	begin = time.Now()
	require.NoError(t, s.Restart())
	t.Logf("restarted in %v", time.Since(begin))
	var row struct{ N int }
	require.NoError(t, numbers.FindOne(ctx, bson.D{{Key: "_id", Value: "n"}}).Decode(&row)) // the client finds the server by itself
	require.Equal(t, 200, row.N)
	n, err := jobs.CountDocuments(ctx, bson.D{{Key: "owner", Value: "x"}})
	require.NoError(t, err)
	require.EqualValues(t, count, n)
	require.NoError(t, s.Stop())
	require.NoError(t, s.Stop(), "again")
}
