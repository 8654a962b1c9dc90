// What the servers of this folder have in common: how long they live.
'use strict';

// A refused request or an unknown filter must not end the server: Node ends a process for a promise that
// nobody caught, and these servers leave some.
process.on('unhandledRejection', (err) => console.error('not caught:', err && (err.stack || err)));
process.on('uncaughtException', (err) => {
	console.error('not caught:', err && (err.stack || err));
	if (err && err.code === 'EADDRINUSE') process.exit(1);
});

// A test that starts a server gives it a pipe for its input, so that no server is left when the test is
// killed. With /dev/null or a terminal there it runs until it gets a signal.
if (require('fs').fstatSync(0).isFIFO()) {
	process.stdin.on('end', () => process.exit(0));
	process.stdin.on('error', () => process.exit(0));
	process.stdin.resume();
}

exports.port = function () {
	const port = Number(process.argv[2]);
	if (!(port > 0)) {
		console.error('usage: node ' + process.argv[1] + ' PORT [DATADIR]');
		process.exit(2);
	}
	return port;
};
