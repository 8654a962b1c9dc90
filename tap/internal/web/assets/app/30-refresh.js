// Tables are drawn by the server. Once a second the page fetches itself and
// takes over what has changed, node by node, so that scroll, focus and
// selection stay where they are.
const refresh = { timer: 0, running: '', failures: 0 };

function inField() {
  const a = document.activeElement;
  return !!a && /^(INPUT|SELECT|TEXTAREA)$/.test(a.tagName);
}

function plan() {
  clearTimeout(refresh.timer);
  const view = $('view'), error = view && view.dataset.error;
  if (!view || document.hidden) return;
  if (error && error < 500) { // what is not there does not come back by asking
    if (!stream.wanted) setConnection('ended');
    return;
  }
  const wait = Math.min(1000 * (1 + refresh.failures), 5000);
  refresh.timer = setTimeout(() => (pause.on || inField() ? plan() : fetchView()), wait);
}

// fetchView asks again. What was asked for (a click, a word typed) is shown
// even while the page stands still; an answer to an older address never.
async function fetchView(asked) {
  const url = location.href;
  if (refresh.running === url) return;
  refresh.running = url;
  try {
    const res = await fetch(url, { headers: { Accept: 'text/html' }, cache: 'no-store', signal: AbortSignal.timeout(8000) });
    const doc = new DOMParser().parseFromString(await res.text(), 'text/html');
    const fresh = doc.getElementById('view');
    if (!fresh) throw new Error(`the server answered ${res.status}`);
    if (location.href === url && (asked || !pause.on)) {
      update($('view'), fresh);
      document.title = doc.title;
      drawSparks();
      refresh.last = new Date();
    }
    refresh.failures = 0;
    if (!stream.wanted) setConnection('live');
    banner('');
  } catch (err) {
    refresh.failures++;
    if (!stream.wanted) setConnection('reconnecting');
    banner(`Connection lost, trying again. The numbers are from ${refresh.last.toLocaleTimeString()}. (${err.message})`);
  } finally {
    if (refresh.running === url) refresh.running = '';
    plan();
  }
}

function update(old, fresh) {
  const focus = document.activeElement;
  morph(old, fresh);
  if (focus && focus !== document.activeElement && focus.isConnected) focus.focus({ preventScroll: true });
}

// morph makes a like b, changing as little as it can.
function morph(a, b) {
  if (a.nodeType !== b.nodeType || a.nodeName !== b.nodeName) {
    a.replaceWith(b);
    return;
  }
  if (a.nodeType !== Node.ELEMENT_NODE) {
    if (a.data !== b.data) a.data = b.data;
    return;
  }
  for (const { name } of [...a.attributes]) if (!b.hasAttribute(name) && name !== 'tabindex') a.removeAttribute(name);
  for (const { name, value } of [...b.attributes]) if (a.getAttribute(name) !== value) a.setAttribute(name, value);
  if (a.nodeName === 'TBODY') {
    morphRows(a, b);
    return;
  }
  const from = [...a.childNodes].filter((n) => !(n.dataset && n.dataset.own)), to = [...b.childNodes];
  to.forEach((n, i) => (i < from.length ? morph(from[i], n) : a.append(n)));
  from.slice(to.length).forEach((n) => n.remove());
}

// morphRows keeps a row with its name when the order changes.
function morphRows(a, b) {
  const old = new Map();
  for (const r of a.children) {
    const k = r.dataset.key;
    if (!old.has(k)) old.set(k, []);
    old.get(k).push(r);
  }
  let at = a.firstElementChild;
  for (const fresh of [...b.children]) {
    const same = old.get(fresh.dataset.key);
    const r = same && same.shift();
    if (!r) {
      a.insertBefore(fresh, at);
      continue;
    }
    morph(r, fresh);
    if (r === at) at = at.nextElementSibling;
    else if (a.moveBefore) a.moveBefore(r, at); // keeps the focus
    else a.insertBefore(r, at);
  }
  while (at) {
    const next = at.nextElementSibling;
    at.remove();
    at = next;
  }
}

// go shows another sorting, page or search without leaving the page.
function go(url, replace) {
  history[replace ? 'replaceState' : 'pushState'](null, '', url);
  fetchView(true);
}

function watchView() {
  if (!$('view')) return;
  refresh.last = new Date();
  drawSparks();
  pause.changed.push(() => (pause.on ? clearTimeout(refresh.timer) : fetchView()));
  addEventListener('popstate', () => fetchView(true));
  document.addEventListener('click', (e) => {
    const a = e.target.closest && e.target.closest('a[data-soft]');
    if (!a || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    e.preventDefault();
    go(a.href);
  });
  const q = $('q');
  if (q) {
    let typing = 0;
    const search = () => {
      const url = new URL(location.href);
      url.searchParams.delete('page');
      if (q.value) url.searchParams.set('q', q.value);
      else url.searchParams.delete('q');
      if (url.href !== location.href) go(url, true);
    };
    q.addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(search, 150); });
    q.form.addEventListener('submit', (e) => { e.preventDefault(); clearTimeout(typing); search(); q.blur(); });
  }
  plan();
}
