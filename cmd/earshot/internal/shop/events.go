// Package shop is a small web shop that does not exist, for "earshot demo": it sends the events that a
// real one would, and has the subscribers that a real one would have, one of which is slow now and then.
package shop

import (
	"time"

	"github.com/earshot-go/earshot"
)

// A Request is a request that the shop has answered.
type Request struct {
	Method string        `json:"method"`
	Path   string        `json:"path"`
	Status int           `json:"status"`
	Took   time.Duration `json:"took"`
	Trace  string        `json:"trace"`
}

// A Query is what the database was asked.
type Query struct {
	SQL   string        `json:"sql"`
	Args  []any         `json:"args,omitempty"`
	Rows  int           `json:"rows"`
	Took  time.Duration `json:"took"`
	Err   string        `json:"err,omitempty"`
	Trace string        `json:"trace"`
}

// An Order is what somebody wants to have.
type Order struct {
	ID       int64  `json:"id"`
	Customer string `json:"customer"`
	Items    []Item `json:"items"`
	Amount   int64  `json:"amount"` // in cents
	Trace    string `json:"trace"`
}

// An Item is a line of an order.
type Item struct {
	SKU   string `json:"sku"`
	Count int    `json:"count"`
	Cents int64  `json:"cents"`
}

// A Payment is an attempt to pay for an order.
type Payment struct {
	Order    int64         `json:"order"`
	Amount   int64         `json:"amount"`
	Provider string        `json:"provider"`
	Card     string        `json:"card" earshot:"secret"`
	Took     time.Duration `json:"took"`
	Err      string        `json:"err,omitempty"`
	Trace    string        `json:"trace"`
}

// A Shipment is a parcel on its way.
type Shipment struct {
	Order   int64  `json:"order"`
	Carrier string `json:"carrier"`
	Parcel  string `json:"parcel"`
}

// A Mail is one that was sent.
type Mail struct {
	To      string `json:"to"`
	Subject string `json:"subject"`
}

// Stock is how much is left of something.
type Stock struct {
	SKU  string `json:"sku"`
	Left int    `json:"left"`
}

// A Lookup is a look into the cache.
type Lookup struct {
	Key string `json:"key"`
	Hit bool   `json:"hit"`
}

// channels are all that the shop tells.
type channels struct {
	requests *earshot.Channel[Request]
	queries  *earshot.Channel[Query]
	placed   *earshot.Channel[Order]
	paid     *earshot.Channel[Order]
	refused  *earshot.Channel[Payment]
	payments *earshot.Channel[Payment]
	shipped  *earshot.Channel[Shipment]
	mails    *earshot.Channel[Mail]
	stock    *earshot.Channel[Stock]
	cache    *earshot.Channel[Lookup]
}

func declare(s *earshot.Server) channels {
	return channels{
		requests: channel[Request](s, "http.request", "one for each request, after it was answered"),
		queries:  channel[Query](s, "db.query", "one for each query, with its time"),
		placed:   channel[Order](s, "orders.placed", "somebody wants something"),
		paid:     channel[Order](s, "orders.paid", "and has paid for it"),
		refused:  channel[Payment](s, "orders.refused", "the payment was refused; the order waits"),
		payments: channel[Payment](s, "payments.tried", "every attempt to pay; card numbers are never shown"),
		shipped:  channel[Shipment](s, "orders.shipped", "a parcel has left"),
		mails:    channel[Mail](s, "mail.sent", "a mail was handed to the mail server"),
		stock:    channel[Stock](s, "stock.level", "how much is left, whenever that changes"),
		cache:    channel[Lookup](s, "debug.cache", "every look into the cache: many; nobody listens to it by default"),
	}
}

func channel[E any](s *earshot.Server, name, doc string) *earshot.Channel[E] {
	return earshot.NewChannel[E](s, name, &earshot.ChannelOptions{Doc: doc})
}
