// Connecting, and what to do when that fails.

// A browser opens six connections to a server and no more, and each tab with
// a stream keeps one. So tabs tell each other, and those that nobody looks at
// let go of theirs.
const tabs = typeof BroadcastChannel === 'function' ? new BroadcastChannel('earshot.tap') : null;

function connect() {
  disconnect();
  if (document.hidden) {
    sleep();
    return;
  }
  const source = stream.source = new EventSource(streamURL());
  stream.reopened = true;
  if (connection !== 'ended') setConnection('reconnecting');
  if (tabs) tabs.postMessage('open');
  source.onopen = () => {
    stream.reopened = true;
    setConnection('live');
    banner('');
    drawLedger();
  };
  source.addEventListener('record', onRecord);
  source.addEventListener('stats', onStats);
  source.addEventListener('gap', onGap);
  source.addEventListener('end', onEnd);
  source.onerror = () => {
    if (source !== stream.source) return;
    if (source.readyState === EventSource.CLOSED) refused();
    else setConnection('reconnecting');
  };
}

// refused asks why: an EventSource does not tell.
async function refused() {
  const url = streamURL(), stop = new AbortController();
  disconnect();
  setConnection('reconnecting');
  later();
  let res;
  try {
    res = await fetch(url, { headers: { Accept: 'text/event-stream' }, cache: 'no-store', signal: stop.signal });
  } catch {
    banner('Connection lost, trying again.');
    return;
  }
  if (res.ok) {
    stop.abort();
    return;
  }
  const why = await res.json().catch(() => ({ error: `the server answered ${res.status}` }));
  if (url !== streamURL()) return;
  if (why.filter) {
    disconnect(); // to ask again would not help
    setConnection('ended');
    problem(why.filter.caret || why.filter.message || why.error, why.filter.caret ? '' : why.filter.hint || why.hint);
    return;
  }
  banner(`Refused: ${why.error}. ${why.hint || ''}`);
}

function problem(text, hint) {
  const p = $('filter-error');
  p.hidden = !text;
  p.querySelector('pre').textContent = text;
  p.querySelector('p').textContent = hint || '';
  if (text) $('filter').setAttribute('aria-invalid', 'true');
  else $('filter').removeAttribute('aria-invalid');
}

// check asks the server what it thinks of the filter, by the page that has it:
// a stream that is refused would be an error in the browser's console.
async function check() {
  const url = location.href;
  try {
    const res = await fetch(url, { headers: { Accept: 'text/html' }, cache: 'no-store' });
    const doc = new DOMParser().parseFromString(await res.text(), 'text/html');
    const p = doc.getElementById('filter-error');
    if (url !== location.href) return;
    if (!p || p.hidden) connect();
    else {
      setConnection('ended');
      problem(p.querySelector('pre').textContent, p.querySelector('p').textContent);
      drawLedger();
    }
  } catch {
    if (url === location.href) connect(); // which goes on trying
  }
}

// apply listens with the filter and rate of the form, from the beginning.
function apply() {
  stream.filter = $('filter').value.trim();
  stream.rate = $('rate').value;
  const url = new URL(location.href);
  url.searchParams.delete('filter');
  url.searchParams.delete('rate');
  if (stream.filter) url.searchParams.set('filter', stream.filter);
  if (stream.rate !== '50/s') url.searchParams.set('rate', stream.rate);
  history.replaceState(null, '', url);
  stream.held = [];
  stream.dropped = 0;
  $('rows').replaceChildren();
  resetCounts();
  problem('', '');
  banner('');
  pending();
  disconnect();
  setConnection('reconnecting');
  drawLedger();
  if (stream.filter) check();
  else connect();
}

// pending marks the button while the form says other than the stream.
function pending() {
  const other = $('filter').value.trim() !== stream.filter || $('rate').value !== stream.rate;
  $('tap').classList.toggle('pending', other);
}

function sleep() {
  if (stream.asleep || !stream.wanted) return;
  disconnect();
  stream.asleep = Date.now();
}

function rise() {
  if (!stream.asleep) return;
  const s = Math.max(1, Math.round((Date.now() - stream.asleep) / 1000));
  if (stream.session) hold({ gap: `Gap: nobody looked at this tab, so it was not connected for ${s < 120 ? s + ' s' : Math.round(s / 60) + ' min'}` });
  stream.asleep = null;
  connect();
}

function watchTap() {
  if (!$('tap')) return;
  stream.wanted = true;
  stream.filter = $('filter').value.trim();
  stream.rate = $('rate').value;
  $('tap').addEventListener('submit', (e) => { e.preventDefault(); apply(); });
  $('filter').addEventListener('input', pending);
  $('rate').addEventListener('change', apply);
  $('rows').addEventListener('click', (e) => {
    const tr = e.target.closest('tr');
    if (!isRecord(tr) || e.target.closest('a') || !getSelection().isCollapsed) return;
    toggle(tr);
  });
  let dozing = 0;
  pause.changed.push(() => {
    clearTimeout(dozing);
    if (document.hidden) dozing = setTimeout(sleep, 60000);
    else rise();
    if (!pause.on) wake();
    else drawLedger();
  });
  if (tabs) tabs.onmessage = () => { if (document.hidden) sleep(); };
  addEventListener('pagehide', disconnect);
  addEventListener('pageshow', (e) => { if (e.persisted) connect(); });
  setInterval(speak, 10000);
  if (!$('filter-error').hidden) setConnection('ended');
  else connect();
  drawLedger();
}
