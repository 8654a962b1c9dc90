module github.com/earshot-go/earshot/backend/couchdb

go 1.26.0

require (
	github.com/earshot-go/earshot v0.0.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace github.com/earshot-go/earshot => ../..
