package main

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
)

var versionCommand = &command{
	name: "version", summary: "of this command", local: true,
	doc: "The version of the program that is looked at is in \"earshot health\".",
	examples: []example{
		{"earshot version", "one line"},
		{"earshot version --json", "with revision and platform, for a bug report"},
	},
	setup: func(a *app, _ *flag.FlagSet) func(context.Context, []string) error {
		return func(context.Context, []string) error {
			v := ownVersion()
			if a.json {
				return a.writeJSON(v)
			}
			text := "earshot " + v.Version
			if v.Revision != "" {
				text += " (" + v.Revision[:min(12, len(v.Revision))]
				if v.Modified {
					text += ", modified"
				}
				text += ")"
			}
			_, err := fmt.Fprintf(a.out, "%s, %s, %s\n", text, v.Go, v.Platform)
			return err
		}
	},
}

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func ownVersion() versionInfo {
	v := versionInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
