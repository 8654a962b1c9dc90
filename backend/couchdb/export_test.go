package couchdb

// AppendDoc is for the benchmark that stores the same documents without a bus.
var AppendDoc = appendDoc
