// A server that speaks RethinkDB's protocol, on loopback and in memory: node --no-deprecation rethinkdb.js PORT
// It says "ready" when it listens. It is reqlite with four things put right.
'use strict';

const port = require('./lifetime.js').port();
const net = require('net');

// It listens on every address of the machine if nobody stops it.
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, listening) {
	return listen.call(this, port, '127.0.0.1', () => {
		console.log('ready');
		if (listening) listening();
	});
};

// The salt of its log-in has padding twice, which strict decoders refuse. And a changefeed goes on for a
// client that has gone, and costs at every write.
const connection = require('reqlite/lib/connection.js').prototype;
const read = connection.read;
connection.read = function () {
	if (!this.watched) {
		this.watched = true;
		this.connection.on('close', () => {
			for (const query of Object.values(this.queries)) {
				if (query.result && query.result.listener) query.stop();
			}
		});
	}
	this.salt = this.salt.replace(/=+$/, '==');
	return read.call(this);
};

// Its updates are not atomic: one query at a time makes them so.
const query = require('reqlite/lib/query.js').prototype;
const run = query.run;
let last = Promise.resolve();
query.run = function () {
	const mine = last.then(() => run.apply(this, arguments));
	last = mine.catch(() => {});
	return mine;
};

const reqlite = require('reqlite');
new reqlite({ 'driver-port': port, silent: true });
