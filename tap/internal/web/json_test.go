package web_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/tap/internal/web"
	"github.com/earshot-go/earshot/tap/panel"
)

func TestTheTwinHasTheSameNumbersInTheSameOrder(t *testing.T) {
	t.Parallel()

	v := queues()
	v.Tables[0].Total = 12
	var b strings.Builder
	require.NoError(t, web.JSON(&b, v))
	assert.Equal(t, `{"title":"Queues","status":"warn","summary":"mail is behind.",
"queues":[
{"name":"mail","doc":"letters","depth":9223372036854775809,"rate":12.25,"oldest":1.5,"last":"2026-11-21T11:58:30Z","bytes":2048,"paused":true},
{"name":"refunds","doc":null,"depth":0,"rate":0,"oldest":null,"last":null,"bytes":null,"paused":false}],
"partial":{"queues":12}}
`, b.String())
}

func TestTheTwinIsJSONWhateverIsInIt(t *testing.T) {
	t.Parallel()

	for _, s := range evil {
		v := panel.View{Title: s, Summary: s, Tables: []panel.Table{
			{Name: s, Columns: []panel.Column{{Key: s, Kind: panel.Text}, {Key: s + "2", Kind: panel.Count}}, Rows: [][]any{{s}, {s, s}, {}}},
			{Name: s}, {Name: "title"}, {Name: "partial", Total: 3},
		}}
		var b bytes.Buffer
		require.NoError(t, web.JSON(&b, v))
		require.True(t, json.Valid(b.Bytes()), "%q: %s", s, b.String())
		assert.NotContains(t, b.String(), "<")

		keys := map[string]bool{} // no key twice: one of the two would be lost
		d := json.NewDecoder(&b)
		_, err := d.Token()
		require.NoError(t, err)
		for d.More() {
			k, err := d.Token()
			require.NoError(t, err)
			assert.False(t, keys[k.(string)], "%q twice", k)
			keys[k.(string)] = true
			var skip json.RawMessage
			require.NoError(t, d.Decode(&skip))
		}
	}
}
