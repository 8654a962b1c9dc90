//go:build !unix

package main

func shell([]string) int { return 99 }
