// Tests of what app.js does without a browser: reading JSON as text, and the
// account seen = shown + filtered + shed. Run by TestScript.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');

// A page of which only so much is there as these parts touch.
const elements = new Map();
function element(tag) {
  return {
    tag, dataset: {}, children: [], attributes: {}, hidden: false, textContent: '', className: '',
    classList: { add() {}, toggle() {} },
    setAttribute(k, v) { this.attributes[k] = v; }, removeAttribute(k) { delete this.attributes[k]; },
    append(...n) { this.children.push(...n); }, replaceChildren(...n) { this.children = n; }, prepend() {},
    addEventListener() {}, querySelectorAll: () => [], querySelector: () => null, closest: () => null,
    get firstElementChild() { return this.children[0] || null; },
    get lastChild() { return this.children[this.children.length - 1]; },
  };
}
const frames = [];
const context = {
  document: {
    documentElement: element('html'), hidden: false, readyState: 'loading',
    getElementById(id) { if (!elements.has(id)) elements.set(id, element(id)); return elements.get(id); },
    addEventListener() {}, createElement: element, createDocumentFragment: () => element('fragment'),
  },
  localStorage: { getItem: () => null, setItem() {} },
  location: { href: 'http://127.0.0.1/debug/tap', pathname: '/debug/tap' },
  requestAnimationFrame(f) { return frames.push(f); },
  BroadcastChannel: undefined, // node would wait for it
  Node: { TEXT_NODE: 3, ELEMENT_NODE: 1 },
};
const source = fs.readFileSync(process.argv[2], 'utf8')
  .replace(/\}\)\(\);\s*$/, 'return { members, valueEnd, stringEnd, word, readable, visible, pretty, totals, onStats, onRecord, onGap, onEnd, flush, count, stream, pause, quote, commandLine, curlLine, grouped, bytes, maxHeld }; })()');
const app = new Function(...Object.keys(context), 'return ' + source)(...Object.values(context));

// --- JSON as text ----------------------------------------------------------

const data = '{"channel":"a\\"b","seq":12, "size" : 48 ,"event":{"id":9223372036854775807,"f":1.10,"s":"}]\\\\","a":[1,{"b":"]"}]},"after":null}';
const m = app.members(data);
assert.equal(m.channel, '"a\\"b"');
assert.equal(app.word(m.channel), 'a"b');
assert.equal(m.seq, '12');
assert.equal(m.size, '48');
assert.equal(m.event, '{"id":9223372036854775807,"f":1.10,"s":"}]\\\\","a":[1,{"b":"]"}]}', 'digit for digit');
assert.equal(m.after, 'null');
assert.equal(app.members('{"missed":3,"event":{"missed":9}}').missed, '3', 'not that of the payload');
assert.equal(app.members('{"__proto__":1}').__proto__, '1');
assert.deepEqual(Object.keys(app.members('[1]')), []);
for (let i = 0; i <= data.length; i++) {
  try { app.members(data.slice(0, i)); } catch (e) { assert.ok(e instanceof SyntaxError); } // ends, whatever is cut off
}
const long = '"' + 'x'.repeat(1 << 20) + '\\\\"';
assert.equal(app.stringEnd(long, 0), long.length);

assert.equal(app.readable('"\\u003cb\\u003e \\u0026 \\u202e \\\\u003c"'), '"<b> & \\u202e \\\\u003c"');
assert.equal(app.visible('a\u202eb\u001b[31m\n\u{e0041}👩‍👩‍👧'), 'a\\u202eb\\u001b[31m\\n\\u{e0041}👩‍👩‍👧');

function drawn(text) {
  const pre = element('pre');
  app.pretty(pre, text);
  return pre.children[0].children.map((n) => (typeof n === 'string' ? n : n.textContent)).join('');
}
assert.equal(drawn('{"id":9223372036854775807,"f":1.10,"e":{},"a":[1,{"b":null}]}'),
  '{\n  "id": 9223372036854775807,\n  "f": 1.10,\n  "e": {},\n  "a": [\n    1,\n    {\n      "b": null\n    }\n  ]\n}');
assert.equal(drawn('"<img src=x>"'), '"<img src=x>"');
assert.equal(drawn('-0.10e+5'), '-0.10e+5');
const wide = '[' + '1,'.repeat(20000) + '1]';
assert.equal(drawn(wide).replaceAll(/\s/g, ''), wide, 'all of it, also beyond the coloured part');
assert.ok(drawn('['.repeat(5000) + ']'.repeat(5000)).length < 2e6);
for (const broken of ['{', '[1', '"', '}', ',,,', ':', 'x y', '{"a":']) drawn(broken); // ends

assert.equal(app.grouped(1234567), '1,234,567');
assert.equal(app.grouped('9223372036854775807'), '9,223,372,036,854,775,807');
assert.equal(app.bytes('1023'), '1023 B');
assert.equal(app.bytes('1048576'), '1.0 MiB');

// --- the account -----------------------------------------------------------

let id = 0;
let session = 'a';
const record = (missed) => app.onRecord({ lastEventId: `${session}-${++id}`, data: `{"channel":"c","seq":${id},${missed ? `"missed":${missed},` : ''}"event":1}` });
const stats = (seen, shown, filtered, shed) => app.onStats({ data: JSON.stringify({ seen, shown, filtered, shed }) });
function account(seen, shown, filtered, shed) {
  const t = app.totals();
  assert.equal(t.seen, t.shown + t.filtered + t.shed);
  if (seen !== undefined) assert.deepEqual(Object.values(t).map(Number), [seen, shown, filtered, shed]);
}

stats(0, 0, 0, 0);
account(0, 0, 0, 0);
record();
account(1, 1, 0, 0);
record(3); // three were shed just before it
account(5, 2, 0, 3);
stats(15, 2, 10, 3);
account(15, 2, 10, 3);

app.pause.user = true; // held, and what does not fit moves to shed
for (let i = 0; i < app.maxHeld + 50; i++) {
  record();
  account();
}
assert.equal(app.stream.held.length, app.maxHeld);
const n = app.maxHeld + 52;
account(15 + app.maxHeld + 50, n - 52, 10, 3 + 52); // the first two were held as well
stats(n + 13, n, 10, 3);
account(n + 13, n - 52, 10, 55);
record();
account(n + 14, n - 52, 10, 56);

app.onRecord({ lastEventId: `a-${id}`, data: '{"channel":"c","seq":1}' }); // sent again after a reconnection
account(n + 14, n - 52, 10, 56);

app.stream.reopened = true; // the same session goes on
app.onGap({ data: '{"reason":"lost for too long","missed":7}' });
account(n + 21, n - 52 - 1, 10, 56 + 7 + 1); // the row of the gap took the place of one that was held
stats(n + 21, n + 8, 10, 3);
account(n + 21, n - 53, 10, 64);

app.stream.reopened = true; // the server was started anew and counts from 0
session = 'b';
id = 0;
app.onGap({ data: '{"reason":"lost","missed":null}' });
record();
account(n + 22, n - 54, 10, 66);
stats(1, 1, 0, 0);
account();
stats(5, 3, 1, 1);
account();
assert.ok(app.totals().shown >= 0n);

const t = app.totals();
stats('9223372036854775807', 0, 0, 0); // not a number: not counted
account();
assert.ok(t.seen > 0n);

// --- lines to take along ---------------------------------------------------

assert.equal(app.quote("it's"), `'it'\\''s'`);
elements.get('tap') || context.document.getElementById('tap');
app.stream.filter = "-chan:debug.** name='x'";
app.stream.rate = '50/s';
assert.equal(app.commandLine(), `earshot tap --url 'http://127.0.0.1/debug/' --rate '50/s' -- '-chan:debug.** name='\\''x'\\'''`);
assert.ok(app.curlLine().startsWith("curl -N -H 'Accept: application/x-ndjson' 'http://127.0.0.1/debug/events?filter="));
