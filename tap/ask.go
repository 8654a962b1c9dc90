package tap

import (
	"context"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/tap/panel"
)

// patience is how long a page waits for a panel.
const patience = 2 * time.Second

// ask asks a panel for its view. One that panics, or does not answer in time, has a view that says so, and the
// rest of the page is there all the same. A panel that has not answered is not asked again before it has, so
// that at most one goroutine is stuck in each.
func (p *Page) ask(ctx context.Context, x panel.Panel) panel.View {
	failed := func(why string) panel.View {
		return panel.View{Title: x.Name(), Status: panel.Bad, Summary: "This panel failed: " + why}
	}
	busy := p.asking[x.Name()]
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case busy <- struct{}{}:
	case <-ctx.Done():
		return failed("it has not answered an earlier request")
	}
	answer := make(chan panel.View, 1)
	go func() {
		defer func() { <-busy }()
		defer func() {
			if e := recover(); e != nil {
				// Not what it panicked with: that could be anything.
				answer <- failed(fmt.Sprintf("it panicked with a %T", e))
			}
		}()
		answer <- x.View(ctx)
	}()
	select {
	case v := <-answer:
		return v
	case <-ctx.Done():
		return failed(fmt.Sprintf("it did not answer within %v", patience))
	}
}
