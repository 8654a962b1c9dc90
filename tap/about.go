package tap

import (
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/earshot-go/earshot/tap/panel"
)

const modulePath = "github.com/earshot-go/earshot"

// version is that of the earshot module in this program.
var version = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path == modulePath && m.Version != "" {
			return m.Version
		}
	}
	return "(devel)"
})

func programName() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Path != "" {
		return info.Path
	}
	return "unknown"
}

// buildInfo is for metrics only: the versions as labels of a number that is always 1.
func buildInfo() panel.View {
	return panel.View{Tables: []panel.Table{{
		Name: "build", Rows: [][]any{{version(), runtime.Version(), 1}},
		Columns: []panel.Column{
			{Key: "version", Kind: panel.Code, Dim: true}, {Key: "goversion", Kind: panel.Code, Dim: true},
			{Key: "build_info", Kind: panel.Count, Metric: "earshot_build_info", Doc: "Always 1: the labels tell."},
		},
	}}}
}
