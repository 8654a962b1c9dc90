package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/internal/e2e/shop"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	pictures = flag.Bool("pictures", false, "make the pictures in docs anew")
	album    = flag.String("album", "", "a folder for pictures of every page, dark and light, wide and narrow")
)

// openShop is a site with the traffic of a small shop, until the test ends.
func openShop(t *testing.T) *site {
	t.Helper()
	s := newSite(t, tap.Look|tap.Payloads)
	paid := earshot.NewChannel[shop.OrderPaid](s.srv, "orders.paid", &earshot.ChannelOptions{Doc: "one event per order, after the bank said yes"})
	queries := earshot.NewChannel[shop.Query](s.srv, "db.query", &earshot.ChannelOptions{Doc: "each query, when its last row was read"})
	requests := earshot.NewChannel[shop.Request](s.srv, "http.request", &earshot.ChannelOptions{Doc: "each request, after the response was written"})
	earshot.NewChannel[shop.OrderPaid](s.srv, "orders.refunded", &earshot.ChannelOptions{Doc: "money that goes back"})
	ctx, cancel := context.WithCancel(t.Context())
	var refs []earshot.Ref
	subscribe := func(name string, pause time.Duration) {
		ref, err := paid.Handle(ctx, func(ctx context.Context, _ earshot.Message[shop.OrderPaid]) error {
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			return nil
		}, &earshot.SpawnOptions{Name: name, Capacity: 256})
		require.NoError(t, err)
		refs = append(refs, ref)
	}
	subscribe("receipts", time.Millisecond)
	subscribe("search index", 900*time.Millisecond)
	t.Cleanup(func() {
		cancel()
		for _, ref := range refs {
			<-s.srv.Monitor(ref)
		}
	})

	random := rand.New(rand.NewPCG(8, 125))
	names := []string{"Ada", "Edsger", "Grace", "Barbara", "Tony", "Leslie", "Frances", "Niklaus"}
	paths := []string{"/", "/cart", "/checkout", "/api/orders", "/search?q=lamp", "/static/app.js"}
	texts := []string{"select * from stock where sku = $1", "insert into orders values ($1, $2, $3)", "update stock set n = n - 1 where sku = $1"}
	background(t, 9*time.Millisecond, func(i int) {
		took := time.Duration(random.ExpFloat64() * float64(4*time.Millisecond)).Round(10 * time.Microsecond)
		switch random.IntN(6) {
		case 0:
			paid.Send(shop.OrderPaid{ID: fmt.Sprintf("A-%04d", 1000+i), Customer: names[random.IntN(len(names))], Cents: 500 + random.IntN(20000), Items: 1 + random.IntN(5)})
		case 1, 2:
			q := shop.Query{Text: texts[random.IntN(len(texts))], Took: took, Rows: random.IntN(40)}
			if random.IntN(12) == 0 {
				q.Err, q.Rows = errors.New("deadlock detected"), 0
			}
			queries.Send(q)
		default:
			status := 200
			if random.IntN(15) == 0 {
				status = 404
			}
			requests.Send(shop.Request{Method: "GET", Path: paths[random.IntN(len(paths))], Status: status, Took: 3 * took})
		}
	})
	return s
}

// The pictures in docs: the live page as it looks when it is at work. They are
// drawn each time, so that they can be when they are wanted, and kept with
// -pictures.
func TestPictures(t *testing.T) {
	dir := t.TempDir()
	if *pictures {
		dir = filepath.Join("..", "..", "docs")
	}
	s := openShop(t)
	for _, pic := range []struct {
		name          string
		scheme        string
		width, height int64
		filter        string
		opened        bool // one event
	}{
		{"tap.png", "dark", 1600, 900, "-chan:debug.* took>1ms", true},
		{"tap-narrow.png", "light", 360, 740, "chan:orders.*", false},
	} {
		p := s.tab("-")
		p.do(call(emulation.SetScrollbarsHidden, emulation.SetScrollbarsHiddenParams{Hidden: true}))
		p.media("prefers-color-scheme", pic.scheme)
		p.viewport(pic.width, pic.height)
		p.open(s.page + tapPath(pic.filter, ""))
		p.until(isLive)
		p.until(fmt.Sprintf(`(%s).Rows >= 60`, readCounts)) // more than fit
		if pic.opened {
			p.keys(" jjj\r ") // stand still, choose the third, open it, go on
			p.until(isLive)
		}
		p.until(fmt.Sprintf(`(%s).Held === 0`, readCounts))
		small := p.picture(pic.width, pic.height, pic.name)
		assert.Less(t, len(small), 150<<10, pic.name)
		require.NoError(t, os.WriteFile(filepath.Join(dir, pic.name), small, 0o644))
		t.Logf("%s: %d KiB", pic.name, len(small)>>10)
	}
}

// Every page, dark and light, narrow and wide: none is blank or wider than the
// window. With -album people can look at them afterwards.
func TestAlbum(t *testing.T) {
	dir, widths := t.TempDir(), []int64{360, 1600}
	if *album != "" {
		dir, widths = *album, append(widths, 2560)
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	const height = 900
	const wrong = "amount>> 5"
	s := openShop(t)
	for _, scheme := range []string{"dark", "light"} {
		for _, width := range widths {
			p := s.tab("-")
			p.expect(`400`)
			p.media("prefers-color-scheme", scheme)
			p.viewport(width, height)
			for _, path := range append(s.tour(), tapPath(wrong, "")) {
				p.open(s.page + path)
				name, _, _ := strings.Cut(path, "=")
				name = strings.NewReplacer("?", "-").Replace(cmp.Or(name, "overview"))
				name = fmt.Sprintf("%s-%d-%s.png", name, width, scheme)
				switch {
				case path == tapPath(wrong, ""):
					p.until(`document.getElementById('filter-error').checkVisibility()`)
				case path == "tap":
					p.until(fmt.Sprintf(`(%s).Rows >= 10`, readCounts))
				default:
					p.waitForRows("page " + path)
				}
				if *album != "" {
					p.refreshed() // a rate needs two looks
				}
				got := eval[[]int](p, `[document.documentElement.scrollWidth, document.documentElement.clientWidth]`)
				assert.LessOrEqual(t, got[0], got[1], "%s: wider than the window: %v", name, eval[[]string](p, `
					[...document.body.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
						.slice(0, 5).map(e => e.outerHTML.slice(0, 100))`))
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), p.picture(width, height, name), 0o644))
			}
		}
	}
}

// picture takes a small picture of what is in the window, which must be of
// that size, and show something: letters have soft edges, so that where there
// are some, there are many colours.
func (p *tab) picture(width, height int64, name string) []byte {
	p.t.Helper()
	shot, err := try(p, chromedp.CaptureScreenshot())
	require.NoError(p.t, err, name)
	small := shrink(p.t, shot)
	img, err := png.Decode(bytes.NewReader(small))
	require.NoError(p.t, err, name)
	assert.Equal(p.t, image.Pt(int(width), int(height)), img.Bounds().Size(), name)
	used := make(map[uint8]bool)
	for _, i := range img.(*image.Paletted).Pix {
		used[i] = true
	}
	assert.Greater(p.t, len(used), 16, "%s: nothing to see", name)
	return small
}

// shrink makes a picture of at most 256 colours. A page has few, but letters
// have soft edges: similar colours are put together, and the most frequent
// groups get a place in the palette.
func shrink(t testing.TB, data []byte) []byte {
	t.Helper()
	src, err := png.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	type sum struct{ r, g, b, n int }
	type group [3]uint8
	groups := make(map[group]*sum)
	b := src.Bounds()
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(src.At(x, y)).(color.RGBA) }
	of := func(c color.RGBA) group { return group{c.R >> 3, c.G >> 3, c.B >> 3} }
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := at(x, y)
			s := groups[of(c)]
			if s == nil {
				s = new(sum)
				groups[of(c)] = s
			}
			s.r, s.g, s.b, s.n = s.r+int(c.R), s.g+int(c.G), s.b+int(c.B), s.n+1
		}
	}
	all := make([]*sum, 0, len(groups))
	for _, s := range groups {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *sum) int { return b.n - a.n })
	var pal color.Palette
	for _, s := range all[:min(256, len(all))] {
		pal = append(pal, color.RGBA{uint8(s.r / s.n), uint8(s.g / s.n), uint8(s.b / s.n), 255})
	}
	nearest := make(map[group]uint8)
	dst := image.NewPaletted(image.Rect(0, 0, b.Dx(), b.Dy()), pal)
	for y := range b.Dy() {
		for x := range b.Dx() {
			c := at(b.Min.X+x, b.Min.Y+y)
			i, ok := nearest[of(c)]
			if !ok {
				i = uint8(pal.Index(c))
				nearest[of(c)] = i
			}
			dst.SetColorIndex(x, y, i)
		}
	}
	var out bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, dst))
	return out.Bytes()
}
