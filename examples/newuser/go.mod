module github.com/earshot-go/earshot/examples/newuser

go 1.26.0

require (
	github.com/earshot-go/earshot v0.0.0
	github.com/earshot-go/earshot/backend/couchdb v0.0.0
	github.com/earshot-go/earshot/backend/nats v0.0.0
	github.com/earshot-go/earshot/backend/redis v0.0.0
	github.com/earshot-go/earshot/backend/rethinkdb v0.0.0
	github.com/earshot-go/earshot/backend/sqlite v0.0.0
)

replace (
	github.com/earshot-go/earshot => ../..
	github.com/earshot-go/earshot/backend/couchdb => ../../backend/couchdb
	github.com/earshot-go/earshot/backend/nats => ../../backend/nats
	github.com/earshot-go/earshot/backend/redis => ../../backend/redis
	github.com/earshot-go/earshot/backend/rethinkdb => ../../backend/rethinkdb
	github.com/earshot-go/earshot/backend/sqlite => ../../backend/sqlite
)
