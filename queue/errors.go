package queue

import "errors"

// What stores and queues answer. They come wrapped, with what the engine said; match them with errors.Is.
var (
	// ErrLeaseLost: the receipt is not that of the item's present lease. Somebody else has the item, or may get it,
	// or it was settled.
	ErrLeaseLost = errors.New("the lease is lost")
	// ErrInvalid: a name, time, selector or number is out of its limits. To try again does not help.
	ErrInvalid = errors.New("invalid")
	// ErrTooLarge: a payload is larger than Caps.MaxBytes.
	ErrTooLarge = errors.New("payload too large")
	// ErrStaleBindings: the bindings are not those of the revision any more.
	ErrStaleBindings = errors.New("the bindings have changed")
	// ErrUnsupported: the store cannot do this, and Caps or its type says so.
	ErrUnsupported = errors.New("not supported by this store")
	// ErrDisconnected: the engine cannot be reached, or did not answer. The call may have had an effect. Try again
	// later.
	ErrDisconnected = errors.New("no connection to the store")
	// ErrDenied: the engine is there and refuses: the credentials, or to write. Somebody has to mend that.
	ErrDenied = errors.New("the store refuses")
	// ErrFull: the engine has no room. Nothing was stored. Somebody has to make some.
	ErrFull = errors.New("the store is full")
	// ErrDamaged: what is stored cannot be read: damaged, of a newer version, or of somebody else. It is left as
	// it is.
	ErrDamaged = errors.New("the store cannot be read")
	// ErrClosed: the store or queue was closed.
	ErrClosed = errors.New("queue closed")
	// ErrScheme: Open does not know the scheme of the URL.
	ErrScheme = errors.New("unknown scheme")
)
