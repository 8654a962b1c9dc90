package earshottest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/earshottest"
)

// A Shop is the code under test: it says what it does on channels of its server.
type Shop struct{ srv *earshot.Server }

type (
	Order struct{ ID, Total int }
	Mail  struct{ To, Body string }
)

func (s Shop) Checkout(customer string, total int) {
	earshot.SendEvent(s.srv, "shop.order", Order{ID: 1, Total: total})
	earshot.SendEvent(s.srv, "shop.mail", Mail{To: customer, Body: fmt.Sprintf("you have paid %d", total)})
}

func Example() {
	test := func(t testing.TB) {
		srv := earshottest.NewServer(t)
		orders := earshottest.Watch[Order](t, srv, "shop.order")
		mails := earshottest.Watch[Mail](t, srv, "shop.mail")

		Shop{srv}.Checkout("ann@example.org", 42)

		orders.ExpectExactly(Order{ID: 1, Total: 42})
		mails.Expect(func(m Mail) bool { return strings.Contains(m.Body, "42") })
	}
	fmt.Println(outcome(test)) // go test runs it otherwise
	// Output: PASS
}

// What a failure looks like.
func ExampleWatchPattern() {
	test := func(t testing.TB) {
		srv := earshottest.NewServer(t)
		shop := earshottest.WatchPattern[any](t, srv, "shop.*")

		Shop{srv}.Checkout("ann@example.org", 42)

		shop.ExpectExactly(earshottest.Type[Order]())
	}
	fmt.Println(outcome(test))
	// Output:
	// FAIL
	// earshottest: ExpectExactly on pattern "shop.*": event 1 was not expected
	//   want[0]  func(earshottest_test.Order)  <- event 0
	//   event 0  earshottest_test.Order{ID:1 Total:42} on channel "shop.order"
	//   event 1  earshottest_test.Mail{To:ann@example.org Body:you have paid 42} on channel "shop.mail"
}

func outcome(test func(testing.TB)) string {
	failures, _ := run(test)
	if failures == "" {
		return "PASS"
	}
	return "FAIL\n" + failures
}
