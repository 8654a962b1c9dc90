// The stream, and the equation that is always on the screen:
//
//   seen = shown + filtered + shed
//
// The server says all four each second. In between, an event that arrives is
// seen and shown. While the page stands still, events are held; what does
// not fit any more was not shown after all and moves to shed.
const stream = {
  wanted: false, source: null, again: 0, asleep: null,
  filter: '', rate: '', lastID: '', reopened: false,
  held: [], dropped: 0, frame: false, rest: 0,
};
const maxHeld = 1000;
const terms = ['seen', 'shown', 'filtered', 'shed'];
const zero = () => ({ seen: 0n, shown: 0n, filtered: 0n, shed: 0n });
const count = { carried: zero(), said: zero(), fresh: 0n, missed: 0n, lost: 0n };

function totals() {
  const t = zero();
  for (const k of terms) t[k] = count.carried[k] + count.said[k];
  t.seen += count.fresh + count.missed;
  t.shown += count.fresh - count.lost;
  t.shed += count.missed + count.lost;
  return t;
}

function resetCounts() {
  Object.assign(count, { carried: zero(), said: zero(), fresh: 0n, missed: 0n, lost: 0n });
}

// onStats takes over what the server counted. After a new connection the
// server may have begun to count anew; then what was counted until now is
// carried, so that the numbers are those of this page.
function onStats(e) {
  const m = members(e.data), said = zero();
  for (const k of terms) said[k] = big(m[k]);
  if (stream.reopened) {
    stream.reopened = false;
    if (said.shown < count.said.shown + count.fresh || terms.some((k) => said[k] < count.said[k])) {
      Object.assign(count, { carried: totals(), lost: 0n });
    }
  }
  Object.assign(count, { said, fresh: 0n, missed: 0n });
  drawLedger();
}

// A number is written in groups of three that a style puts a comma between,
// so that what is copied is the number.
function drawNumber(el, n) {
  const digits = String(n);
  if (el.dataset.n === digits) return;
  el.dataset.n = digits;
  const head = digits.length % 3 || 3, groups = [digits.slice(0, head)];
  for (let i = head; i < digits.length; i += 3) groups.push(make('u', '', digits.slice(i, i + 3)));
  el.replaceChildren(...groups);
}

function drawLedger() {
  const t = totals(), waiting = stream.held.length;
  for (const k of terms) drawNumber($(k), t[k]);
  drawNumber($('held'), waiting);
  $('holding').hidden = !waiting && !pause.on;
  const quiet = $('quiet');
  quiet.hidden = !!$('rows').firstElementChild;
  if (quiet.hidden) return;
  let text = 'Listening. Nothing has been sent yet.';
  if (connection !== 'live') text = 'Not connected.';
  else if (waiting) text = `Standing still. ${grouped(waiting)} wait to be shown.`;
  else if (t.seen > 0n) text = `Listening. ${grouped(t.seen)} events were seen and none was shown: ${grouped(t.filtered)} did not match, ${grouped(t.shed)} were more than the rate allows.`;
  if (quiet.textContent !== text) quiet.textContent = text;
}

// speak tells those who listen, not more often than they can bear.
function speak() {
  const t = totals();
  const text = `${connection}: ` + terms.map((k) => `${k} ${grouped(t[k])}`).join(', ');
  if (!pause.on && $('spoken').textContent !== text) $('spoken').textContent = text;
}

function hold(entry) {
  stream.held.push(entry);
  while (stream.held.length > maxHeld) {
    if (!stream.held.shift().gap) {
      count.lost++;
      stream.dropped++;
    }
  }
  wake();
}

// wake has what is held shown at the next frame. A table of hundreds of rows
// that all move takes a browser tens of milliseconds to paint, so after that
// it is left alone for twice as long, so that the page answers its visitor.
function wake() {
  if (stream.frame || pause.on) return;
  stream.frame = true;
  const wait = stream.rest - performance.now();
  if (wait > 0) setTimeout(() => requestAnimationFrame(flush), wait);
  else requestAnimationFrame(flush);
}

// flush shows what is held, some hundred rows in a frame.
function flush() {
  stream.frame = false;
  if (!pause.on && (stream.held.length || stream.dropped)) {
    const batch = stream.held.splice(0, 250), began = performance.now();
    if (stream.dropped) {
      batch.unshift({ gap: `${grouped(stream.dropped)} events more than this page holds were shed here` });
      stream.dropped = 0;
    }
    insertRows(batch);
    setTimeout(() => { // when the frame has been painted
      const now = performance.now();
      stream.rest = now + Math.min(2 * (now - began), 100);
      if (stream.held.length) wake();
    });
  }
  drawLedger();
}

function onRecord(e) {
  const cut = e.lastEventId.lastIndexOf('-'), n = Number(e.lastEventId.slice(cut + 1));
  const session = e.lastEventId.slice(0, cut);
  if (cut > 0) {
    if (session === stream.session && n <= stream.n) return; // sent twice around a reconnection
    Object.assign(stream, { session, n });
  }
  const parts = members(e.data);
  count.fresh++;
  count.missed += big(parts.missed);
  hold({ text: e.data, parts });
  if (pause.on && !document.hidden && !stream.frame) {
    stream.frame = true;
    requestAnimationFrame(flush);
  }
}

// onGap: what the server had sent and has no more was shown by its count, but
// not by this page.
function onGap(e) {
  const m = members(e.data), n = big(m.missed);
  count.fresh += n;
  count.lost += n;
  hold({ gap: `Gap: ${visible(word(m.reason))}${n > 0n ? `, ${grouped(n)} events missed` : ', how many events were missed is not known'}` });
}

function onEnd(e) {
  const reason = visible(word(members(e.data).reason));
  hold({ gap: `Ended: ${reason}` });
  disconnect();
  setConnection('ended');
  flush();
  later();
}

function later() {
  clearTimeout(stream.again);
  stream.again = setTimeout(connect, 5000);
}

function disconnect() {
  clearTimeout(stream.again);
  if (stream.source) stream.source.close();
  stream.source = null;
}

function streamQuery() {
  const q = new URLSearchParams();
  const filter = [$('tap').dataset.fixed, stream.filter].filter(Boolean).join(' ');
  if (filter) q.set('filter', filter);
  if (stream.rate && stream.rate !== 'all') q.set('rate', stream.rate);
  return q;
}

const streamURL = () => new URL('./events?' + streamQuery(), location.href).href;
