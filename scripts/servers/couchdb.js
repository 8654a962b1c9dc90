// A server that speaks CouchDB's protocol, on loopback: node couchdb.js PORT [DATADIR]
// It says "ready" when it listens. With a directory the data is there and outlives a kill, without one it is
// in memory.
'use strict';

const port = require('./lifetime.js').port();
const path = require('path');
require('events').defaultMaxListeners = 0; // each feed is a listener or two: no leak
const express = require('express');
const pouchdb = require('pouchdb');

const dir = process.argv[3];
let databases;
if (dir) {
	require('fs').mkdirSync(dir, { recursive: true });
	databases = pouchdb.defaults({ prefix: path.join(path.resolve(dir), path.sep) });
} else {
	pouchdb.plugin(require('pouchdb-adapter-memory'));
	databases = pouchdb.defaults({ adapter: 'memory', db: require('memdown') });
}

const app = express();
app.use((req, res, next) => {
	// A compressed continuous feed is held back until the compressor has a block, which is never.
	delete req.headers['accept-encoding'];
	next();
});
app.use((req, res, next) => {
	// A continuous feed goes on for a client that has gone, and each of them costs at every write.
	if (req.query.feed === 'continuous') {
		let db;
		Object.defineProperty(req, 'db', {
			set: (opened) => {
				const changes = opened.changes;
				db = Object.create(opened, { changes: { value: (options) => {
					const feed = changes.call(opened, options);
					res.on('close', () => {
						feed.emit('error', new Error('the client has gone')); // ends the heartbeats
						feed.cancel();
					});
					return feed;
				} } });
			},
			get: () => db,
		});
	}
	next();
});
app.get('/_up', (req, res) => res.json({ status: 'ok' })); // the protocol has it, express-pouchdb does not
app.use(require('express-pouchdb')(databases, {
	mode: 'fullCouchDB',
	inMemoryConfig: true,
	logPath: dir ? path.join(dir, 'log.txt') : require('os').devNull,
}));
app.listen(port, '127.0.0.1', () => console.log('ready'));
