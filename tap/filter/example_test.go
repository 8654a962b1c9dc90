package filter_test

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/earshot-go/earshot/tap/filter"
)

type OrderPaid struct {
	ID       int64 `json:"id"`
	Amount   int   `json:"amount"`
	Customer struct {
		Name string `json:"name"`
	} `json:"customer"`
	Took  time.Duration `json:"took"`
	Token string        `json:"token"` // a secret by its name
}

func Example() {
	f, err := filter.Parse("chan:orders.* -chan:orders.test type:OrderPaid amount>100 customer.name~^M took>=20ms rate:50/s")
	if err != nil {
		fmt.Println(err)
		return
	}
	event := OrderPaid{Amount: 150, Took: 30 * time.Millisecond}
	event.Customer.Name = "Möwe"
	fmt.Println(f.Channel("orders.paid"), f.Channel("orders.test"))
	fmt.Println(f.Match(reflect.ValueOf(event)))
	event.Amount = 5
	fmt.Println(f.Match(reflect.ValueOf(&event)))
	// Output:
	// true false
	// true
	// false
}

func ExampleParse_error() {
	_, err := filter.Parse("chan:orders.* amount>100 rate:50/d")
	fmt.Println(err)
	// Output:
	// filter: the time of the rate is none of /s, /m and /h
	//   chan:orders.* amount>100 rate:50/d
	//                                   ^^
	// write rate:50/s, rate:50/m or rate:50/h
}

func ExampleFilter_String() {
	f, _ := filter.Parse(`  chan:"orders.paid"   amount==100   note="two words"  `)
	fmt.Println(f)
	// Output: chan:orders.paid amount=100 note="two words"
}

// A secret cannot be asked for.
func ExampleFilter_Match() {
	event := reflect.ValueOf(OrderPaid{ID: 9223372036854775807, Token: "hunter2"})
	for _, text := range []string{"id=9223372036854775807", "id=9223372036854775806", "token=hunter2", "hunter2"} {
		f, _ := filter.Parse(text)
		fmt.Println(text, f.Match(event))
	}
	// Output:
	// id=9223372036854775807 true
	// id=9223372036854775806 false
	// token=hunter2 false
	// hunter2 false
}

func ExampleFilter_Hide() {
	f, _ := filter.Parse("amount>100")
	f = f.Hide(func(name string) bool { return strings.EqualFold(name, "amount") })
	fmt.Println(f.Match(reflect.ValueOf(OrderPaid{Amount: 150})))
	// Output: false
}

func ExampleQuote() {
	fmt.Println("chan:"+filter.Quote("orders.paid"), "chan:"+filter.Quote("my channel"))
	// Output: chan:orders.paid chan:"my channel"
}
