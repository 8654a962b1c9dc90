package shop

import (
	"context"
	"fmt"
	"time"

	"github.com/earshot-go/earshot"
)

// hire subscribes those who work with the shop's events. They stay until the server stops.
func (sh *Shop) hire() error {
	for _, hire := range []func() error{sh.mailer, sh.warehouse, sh.fraudCheck, sh.board, sh.audit} {
		if err := hire(); err != nil {
			return err
		}
	}
	return nil
}

// mailer thanks for each order.
func (sh *Shop) mailer() error {
	_, err := sh.paid.Handle(context.Background(), func(ctx context.Context, m earshot.Message[Order]) error {
		sleep(ctx, sh.millis(1, 30))
		sh.mails.Send(Mail{m.Event.Customer, fmt.Sprintf("Thank you for order %d", m.Event.ID)})
		return nil
	}, &earshot.SpawnOptions{Name: "mailer"})
	return err
}

// warehouse packs what is paid.
func (sh *Shop) warehouse() error {
	_, err := sh.paid.Handle(context.Background(), func(ctx context.Context, m earshot.Message[Order]) error {
		sleep(ctx, sh.millis(5, 60))
		sh.shipped.Send(Shipment{m.Event.ID, []string{"post", "bike"}[sh.pick(2)], "P" + sh.trace()})
		return nil
	}, &earshot.SpawnOptions{Name: "warehouse"})
	return err
}

// How often the fraud check hangs, and for how long: it waits for somebody else's server.
const (
	hangsEvery = 40 * time.Second
	hangsFor   = 8 * time.Second
)

// fraudCheck looks at each payment, and is the slow subscriber of this shop. Its mailbox is small, so
// that at a higher rate it loses some.
func (sh *Shop) fraudCheck() error {
	var last time.Time
	_, err := sh.payments.Handle(context.Background(), func(ctx context.Context, m earshot.Message[Payment]) error {
		switch now := time.Now(); {
		case last.IsZero():
			last = now.Add(hangsFor - hangsEvery) // the first time soon, so that there is something to find
		case now.Sub(last) > hangsEvery:
			sleep(ctx, hangsFor)
			last = time.Now()
		default:
			sleep(ctx, sh.millis(1, 4))
		}
		return nil
	}, &earshot.SpawnOptions{Name: "fraud check", Capacity: 64})
	return err
}

// board shows what is left: only the newest level matters.
func (sh *Shop) board() error {
	_, err := sh.channels.stock.Handle(context.Background(), func(ctx context.Context, _ earshot.Message[Stock]) error {
		sleep(ctx, 10*time.Millisecond)
		return nil
	}, &earshot.SpawnOptions{Name: "stock board", Overflow: earshot.Latest})
	return err
}

// audit counts everything about orders, whatever channels there are.
func (sh *Shop) audit() error {
	ready := make(chan error, 1)
	sh.srv.Spawn(context.Background(), func(ctx context.Context, m *earshot.Mailbox[any]) error {
		_, err := m.SubscribePattern("orders.*")
		ready <- err
		if err != nil {
			return err
		}
		for range m.Messages(ctx) {
		}
		return nil
	}, &earshot.SpawnOptions{Name: "audit"})
	return <-ready
}
