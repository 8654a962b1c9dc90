package main

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/internal/program"
)

// Mistakes in the flags are one line and status 2; what goes wrong later is one line and status 1. Neither has a password.
func TestMistakes(t *testing.T) {
	t.Parallel()
	taken := strings.TrimPrefix(program.Start(t, "-store", "mem:", "-listen", "127.0.0.1:0").Site(t).URL, "http://")
	dir := t.TempDir()
	foreign := strings.Repeat("no database ", 100)
	require.NoError(t, os.WriteFile(dir+"/text", []byte(foreign), 0o600))
	for _, c := range []struct {
		args string
		want int
		says string
	}{
		{"-role boss", 2, `-role "boss": it is web, team or all`},
		{"-rolle web", 2, "flag provided but not defined: -rolle"},
		{"web", 2, `"web" is no flag`},
		{"-role web -store mem:", 2, "-role web needs a -store that other processes share"},
		{"-role team -store mem:", 2, "-role team needs a -store that other processes share"},
		{"-week 0s", 2, "-week 0s: it is more than 0"},
		{"-week soon", 2, "invalid value"},
		{"-store oracle://ann:s3cret@db", 2, `-store: queue: open oracle://ann:xxxxx@db: unknown scheme "oracle": this program knows mem, mongodb,`},
		{"-store nowhere", 2, "unknown scheme"},
		{"-store redis://:s3cret@db/0?steam=shop", 2, `unknown key "steam"`},
		{"-store postgres://ann:s3cret@db/jobs?steam=shop", 2, `unknown key "steam"`},
		{"-store mongodb://ann:s3cret@db/jobs?steam=shop", 2, `unknown key "steam"`},
		{"-store redis://:s3cret@db:port/0", 2, "not a URL"},
		{"-store mem: -listen " + taken, 1, "listen tcp " + taken + ": bind: address already in use"},
		{"-store mem: -mail " + dir, 1, "-mail: open " + dir + ": is a directory"},
		{"-store sqlite:" + dir + "/none/jobs.db", 1, "make the directory " + dir + "/none"},
		{"-store sqlite:" + dir, 1, "it is a directory, and has to be a file"},
		{"-store sqlite:" + dir + "/text", 1, "the store cannot be read"},
		{"-store redis://:s3cret@127.0.0.1:1/0", 1, "no connection to the store: dial tcp 127.0.0.1:1: connect: connection refused"},
		{"-store postgres://ann:s3cret@127.0.0.1:1/jobs", 1, "no connection to the store"},
		{"-store mongodb://ann:s3cret@127.0.0.1:1/jobs", 1, "no connection to the store"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			p := program.Start(t, strings.Fields(c.args)...)
			require.Equal(t, c.want, p.Status(t))
			said := p.Said()
			require.Len(t, said, 1)
			require.True(t, strings.HasPrefix(said[0], "onboarding: "), said[0])
			require.Contains(t, said[0], c.says)
			require.NotContains(t, said[0], "s3cret")
			require.NotContains(t, said[0], "\t")
			require.Equal(t, foreign, read(t, dir+"/text"), "a file of somebody else is left as it is")
		})
	}
	p := program.Start(t, "-help")
	require.Zero(t, p.Status(t))
	require.Contains(t, strings.Join(p.Said(), "\n"), "-store URL")
}

func TestBadUsers(t *testing.T) {
	p := program.Start(t, "-store", "mem:", "-listen", "127.0.0.1:0")
	site := p.Site(t)
	for path, want := range map[string]int{
		"/users/" + strings.Repeat("a", 256): http.StatusBadRequest,
		"/users/a%0ab":                       http.StatusBadRequest,
		"/users/%ff":                         http.StatusBadRequest,
		"/users/":                            http.StatusNotFound,
		"/users/" + strings.Repeat("a", 255): http.StatusCreated,
	} {
		status, body := site.Do(t, http.MethodPost, path)
		require.Equal(t, want, status, "%s: %s", path, body)
	}
	require.Zero(t, p.Stop(t))
}

// A server that is killed takes nothing with it that was answered with 201: users who come meanwhile are told to come
// again, and the processes go on when it is back.
func TestStoreGoesAndComesBack(t *testing.T) {
	t.Parallel()
	onShared(t, func(t *testing.T, at place) {
		if at.server == nil {
			t.Logf("no server of this test's own that it could kill: %s", at.name)
			return
		}
		box := newMailbox(t)
		web := program.Start(t, at.flags("web")...)
		team := program.Start(t, at.flags("team", "-mail", string(box))...)
		team.Saying(t, `at work`)
		site := web.Site(t)
		names := add(t, site, "ann", 5)
		require.NoError(t, at.server.Kill())
		status, body := site.Do(t, http.MethodPost, "/users/bob")
		require.Equal(t, http.StatusServiceUnavailable, status, body)
		require.Contains(t, body, "try again later")
		require.Contains(t, body, "no connection to the store")
		team.Saying(t, `ERROR queue: the store has failed`)
		status, body = site.Do(t, http.MethodGet, "/debug/earshot/queues.json")
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, body, "no connection to the store")

		require.NoError(t, at.server.Restart())
		program.Until(t, "users are taken again", func() bool {
			status, _ := site.Do(t, http.MethodPost, "/users/cay")
			return status == http.StatusCreated
		})
		team.Saying(t, `INFO queue: the store answers again`)
		names = append(names, "cay")
		box.has(t, welcome, names)
		box.has(t, followUp, names)
		require.Zero(t, team.Stop(t))
		require.Zero(t, web.Stop(t))
	})
}
