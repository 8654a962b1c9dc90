package filter

import (
	"reflect"
	"strings"
)

// A typeGlob matches names of types.
type typeGlob struct {
	text string
	// pkg and name are the parts of a pattern with an import path, "example.com/shop.Order".
	pkg, name string
	dotted    bool // names a package
}

// newTypeGlob reports false for an import path without the name of a type.
func newTypeGlob(text string) (typeGlob, bool) {
	g := typeGlob{text: text}
	plain, _, _ := strings.Cut(text, "[") // dots and slashes of type arguments do not count
	g.dotted = strings.Contains(plain, ".")
	if slash := strings.LastIndexByte(plain, '/'); slash >= 0 {
		dot := strings.IndexByte(plain[slash:], '.')
		if dot < 0 {
			return g, false
		}
		g.pkg, g.name = text[:slash+dot], text[slash+dot+1:]
	}
	return g, true
}

// match reports whether the type has a name that matches: with its type arguments or without.
func (g *typeGlob) match(t reflect.Type) bool {
	if t == nil {
		return glob(g.text, "nil")
	}
	name, full := t.Name(), t.String()
	switch {
	case name == "":
		return glob(g.text, full)
	case g.pkg != "":
		return glob(g.pkg, t.PkgPath()) && matchGeneric(g.name, name)
	case g.dotted:
		return matchGeneric(g.text, full)
	}
	return matchGeneric(g.text, name)
}

func matchGeneric(pattern, name string) bool {
	if glob(pattern, name) {
		return true
	}
	bare, _, generic := strings.Cut(name, "[")
	return generic && glob(pattern, bare)
}

// maxDepth is how deep a filter looks into an event.
const maxDepth = 32

// element returns what a type points to, through all pointers without a name of their own: one with
// a name can point to itself.
func element(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer && t.Name() == "" {
		t = t.Elem()
	}
	return t
}
