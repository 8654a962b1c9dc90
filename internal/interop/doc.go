// Package interop has tests with programs and libraries that are not ours.
package interop
