package mongodb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/earshot-go/earshot/queue"
)

// Codes of errors of a MongoDB server.
const codeDuplicate = 11000

var (
	denials = map[int]bool{
		13: true, 18: true, 33: true, 8000: true, // Unauthorized, AuthenticationFailed, ...
	}
	absences = map[int]bool{
		6: true, 7: true, 50: true, 64: true, 89: true, 91: true, 100: true, 112: true, 189: true, 262: true, 9001: true,
		10058: true, 10107: true, 11600: true, 11602: true, 13435: true, 13436: true, // not primary, shutting down, no majority, ...
	}
	full = map[int]bool{
		14031: true, 12501: true, // OutOfDiskSpace, a quota
	}
	large = map[int]bool{
		10334: true, 17419: true, 17420: true, // a document that is, grows, or is inserted larger than 16 MiB
	}
	errQuiet = errors.New("the server did not answer in time")
	errLost  = errors.New("the connection was lost during the call")
	errNewer = fmt.Errorf("%w: a newer version of earshot has made the collections: update this program", queue.ErrDamaged)
)

// meaning wraps what a call met in the error of package queue that it means.
func meaning(err error) error {
	for _, known := range []error{
		queue.ErrClosed, queue.ErrDisconnected, queue.ErrDenied, queue.ErrFull, queue.ErrDamaged, queue.ErrInvalid,
		queue.ErrTooLarge, queue.ErrStaleBindings, queue.ErrUnsupported,
	} {
		if errors.Is(err, known) {
			return err
		}
	}
	text := err.Error()
	switch {
	case has(err, denials), !answered(err) && (strings.Contains(text, "auth error") || strings.Contains(text, "AuthenticationFailed")):
		return fmt.Errorf("%w: see to the user, the password and the right to read and write of the user: %w", queue.ErrDenied, err)
	case has(err, full), strings.Contains(text, "No space left on device"), strings.Contains(text, "database or disk is full"):
		return fmt.Errorf("%w: make room on the server's disk, or let workers catch up: %w", queue.ErrFull, err)
	case has(err, absences), errors.Is(err, errQuiet), errors.Is(err, errLost), unreachable(err), mongo.IsTimeout(err),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		// Not wrapped: that a deadline of ours has passed must not look as if one of the caller's had.
		return fmt.Errorf("%w: %v", queue.ErrDisconnected, err)
	}
	return err
}

func has(err error, codes map[int]bool) bool {
	return slices.ContainsFunc(mongo.ErrorCodes(err), func(c int) bool { return codes[c] })
}

func tooLarge(err error) bool { return has(err, large) }

// answered reports whether an error is what the server has answered. Its text may have names and values of users.
func answered(err error) bool {
	_, ok := errors.AsType[mongo.ServerError](err)
	return ok && !mongo.IsNetworkError(err)
}

// unreachable reports whether an error is one of the way to the server.
func unreachable(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok { // of the DNS too
		return true
	}
	if mongo.IsNetworkError(err) || errors.Is(err, mongo.ErrClientDisconnected) {
		return true
	}
	text := err.Error()
	return !answered(err) && (strings.Contains(text, "server selection") || strings.Contains(text, "connection"))
}

// duplicates returns which of the documents of an insertion were there already. Any other error is returned.
func duplicates(err error) ([]int, error) {
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil {
		return nil, err
	}
	var found []int
	for _, e := range bulk.WriteErrors {
		if e.Code != codeDuplicate {
			return nil, err
		}
		found = append(found, e.Index)
	}
	return found, nil
}

// garbled is the error of a document that is there and is not ours.
func garbled(collection string, raw bson.Raw, err error) error {
	return fmt.Errorf("%w: the document %.80s of %s: %v", queue.ErrDamaged, raw.Lookup("_id"), collection, err)
}
