//go:build !unix

package main

import "os"

func watchResize(chan<- os.Signal) {} // the size is asked for at each drawing anyway

func suspend() {}
