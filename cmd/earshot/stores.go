package main

// The stores that "earshot queue" knows, by the schemes of their URLs. To link them all makes every command begin
// a millisecond or two later; see BenchmarkStart.
import (
	_ "github.com/earshot-go/earshot/backend/mongodb"
	_ "github.com/earshot-go/earshot/backend/postgres"
	_ "github.com/earshot-go/earshot/backend/redis"
	_ "github.com/earshot-go/earshot/backend/sqlite"
	_ "github.com/earshot-go/earshot/queue/memstore"
)
