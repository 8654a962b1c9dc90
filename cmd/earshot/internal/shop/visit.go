package shop

import (
	"context"
	"fmt"
	"time"
)

var customers = []string{
	"Ada Lovelace", "Zoë Kravčenko", "李雷", "Miles O'Brien", "نور الهدى", "Søren Åkesson", "Grace Hopper", "José Ñandú",
}

var goods = []Item{
	{"TEA-ASSAM-250", 1, 890}, {"TEA-SENCHA-100", 1, 1250}, {"CUP-BLUE", 1, 1490}, {"POT-IRON", 1, 6900},
	{"HONEY-LIME", 1, 740}, {"SIEVE-S", 1, 450},
}

// visit is what one customer does. Many only look.
func (sh *Shop) visit(ctx context.Context) {
	trace := sh.trace()
	for range 2 + sh.pick(4) {
		sku := goods[sh.pick(len(goods))].SKU
		hit := sh.pick(4) > 0
		sh.cache.SendFunc(func() Lookup { return Lookup{"page:" + sku, hit} })
		begin := time.Now()
		if !hit {
			sh.ask(ctx, trace, "SELECT name, price, text FROM goods WHERE sku = $1", sku)
		}
		sh.answer(trace, "GET", "/goods/"+sku, 200, begin)
		if !sleep(ctx, sh.millis(5, 400)) {
			return
		}
	}
	switch sh.pick(12) {
	case 0:
		sh.answer(trace, "GET", "/favicon.ico", 404, time.Now())
	case 1, 2, 3, 4:
		sh.buy(ctx, trace)
	}
}

// buy is an order from the basket to the parcel, or to the refused card.
func (sh *Shop) buy(ctx context.Context, trace string) {
	begin := time.Now()
	o := Order{ID: sh.number(), Customer: customers[sh.pick(len(customers))], Trace: trace}
	for range 1 + sh.pick(3) {
		item := goods[sh.pick(len(goods))]
		item.Count = 1 + sh.pick(3)
		if sh.take(item.SKU, item.Count) != nil {
			continue
		}
		o.Items = append(o.Items, item)
		o.Amount += item.Cents * int64(item.Count)
	}
	sh.ask(ctx, trace, "INSERT INTO orders (id, customer, amount) VALUES ($1, $2, $3)", o.ID, o.Customer, o.Amount)
	sh.placed.Send(o)
	if !sh.pay(ctx, o) {
		sh.answer(trace, "POST", fmt.Sprintf("/orders/%d/pay", o.ID), 402, begin)
		return
	}
	sh.ask(ctx, trace, "UPDATE orders SET paid = now() WHERE id = $1", o.ID)
	sh.paid.Send(o)
	sh.answer(trace, "POST", fmt.Sprintf("/orders/%d/pay", o.ID), 200, begin)
}

func (sh *Shop) pay(ctx context.Context, o Order) bool {
	begin := time.Now()
	sleep(ctx, sh.millis(20, 300))
	p := Payment{
		Order: o.ID, Amount: o.Amount, Provider: []string{"visa", "sepa", "twint"}[sh.pick(3)],
		Card: fmt.Sprintf("4111 1111 1111 %04d", sh.pick(10000)), Took: time.Since(begin), Trace: o.Trace,
	}
	if sh.pick(10) == 0 {
		p.Err = []string{"card declined", "limit exceeded", "provider timed out"}[sh.pick(3)]
	}
	sh.payments.Send(p)
	if p.Err != "" {
		sh.refused.Send(p)
	}
	return p.Err == ""
}

// ask is a query to a database that answers more slowly now and then.
func (sh *Shop) ask(ctx context.Context, trace, sql string, args ...any) {
	most := 4
	if sh.pick(40) == 0 {
		most = 180
	}
	begin := time.Now()
	sleep(ctx, sh.millis(1, most))
	q := Query{SQL: sql, Args: args, Rows: 1, Took: time.Since(begin), Trace: trace}
	if sh.pick(150) == 0 {
		q.Rows, q.Err = 0, "deadlock detected"
	}
	sh.queries.Send(q)
}

func (sh *Shop) answer(trace, method, path string, status int, begin time.Time) {
	sh.requests.SendFunc(func() Request { return Request{method, path, status, time.Since(begin), trace} })
}
