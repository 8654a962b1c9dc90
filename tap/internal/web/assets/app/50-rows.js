// The rows of the live tap: at most so many, the newest first, and an old one
// is used again for a new event.
const maxRows = 500;
const entryOf = new WeakMap(); // of a row, what it shows

function newRow() {
  const tr = make('tr');
  tr.tabIndex = -1;
  const time = make('td'), open = make('button', 'open'), channel = make('td', 'code'), type = make('td', 'code'),
    size = make('td', 'n'), event = make('td', 'event');
  open.type = 'button';
  open.setAttribute('aria-expanded', 'false');
  const link = make('a');
  link.append(make('bdi'));
  time.append(open);
  channel.append(link);
  tr.append(time, channel, type, size, event);
  return tr;
}

function fillRow(tr, rec) {
  const m = rec.parts;
  const [time, channel, type, size, event] = tr.children;
  const name = word(m.channel), stamp = word(m.time), kind = word(m.type);
  entryOf.set(tr, rec);
  tr.dataset.seq = m.seq || '';
  tr.dataset.channel = name;

  const button = time.firstChild;
  button.textContent = stamp.slice(11, 23) || '–';
  button.title = stamp;
  button.setAttribute('aria-label', `Open the event of ${stamp.slice(11, 23)}`);

  const link = channel.firstChild, q = new URLSearchParams({ name });
  if (m.kind) q.set('kind', word(m.kind));
  link.href = './channel?' + q;
  link.firstChild.textContent = visible(name);
  while (link.nextSibling) link.nextSibling.remove();
  if (m.kind) channel.append(make('span', 'soft', ' ' + visible(word(m.kind))));
  if (big(m.missed) > 0n) {
    const more = make('span', 'shed', `+${grouped(m.missed)} shed`);
    more.title = `${grouped(m.missed)} events were shed just before this one`;
    channel.append(' ', more);
  }

  const dot = kind.lastIndexOf('.') + 1;
  type.replaceChildren(make('span', 'soft', visible(kind.slice(0, dot))), visible(kind.slice(dot)));
  size.textContent = bytes(m.size);
  event.classList.toggle('soft', m.event === undefined);
  event.textContent = m.event === undefined ? 'hidden'
    : readable(m.event.slice(0, 600)) + (m.event.length > 600 ? '…' : '');
}

function bytes(raw) {
  if (!raw) return '–';
  let n = Number(raw);
  if (n < 1024) return `${n} B`;
  for (const unit of ['KiB', 'MiB', 'GiB']) {
    n /= 1024;
    if (n < 1023.95) return `${n.toFixed(1)} ${unit}`;
  }
  return `${grouped(Math.round(n))} GiB`;
}

// A gap is where the page knows that it does not know.
function fillGap(tr, text) {
  const td = make('td', '', text);
  td.colSpan = 5;
  tr.className = 'gap';
  tr.append(td);
  return tr;
}

function isRecord(tr) { return !!tr && tr.dataset.seq !== undefined; }

// detailOf answers the open part below a row.
function detailOf(tr) {
  const next = tr.nextElementSibling;
  return next && next.className === 'detail' ? next : null;
}

function toggle(tr) {
  const rec = entryOf.get(tr), open = detailOf(tr);
  if (!rec) return;
  tr.querySelector('.open').setAttribute('aria-expanded', String(!open));
  if (open) {
    open.remove();
    return;
  }
  const m = rec.parts, detail = make('tr', 'detail'), td = make('td'), pre = make('pre');
  td.colSpan = 5;
  td.append(make('p', 'soft', visible(`${word(m.time)} · seq ${m.seq} · ${word(m.type)} · ${grouped(m.size || 0)} bytes`)));
  if (m.event === undefined) td.append(make('p', 'soft', 'The payload is hidden. The program may permit it.'));
  else {
    pretty(pre, m.event);
    pre.tabIndex = 0;
    pre.setAttribute('aria-label', 'Payload');
    td.append(pre);
  }
  detail.append(td);
  tr.after(detail);
}

// insertRows puts entries, oldest first, on top of the table.
function insertRows(entries) {
  const body = $('rows'), spare = [];
  let room = maxRows - body.querySelectorAll(':scope > tr:not(.detail)').length - entries.length;
  for (; room < 0 && body.lastElementChild; ) {
    const last = body.lastElementChild;
    if (last.className !== 'detail') room++;
    last.remove();
    if (isRecord(last) && !last.contains(document.activeElement)) spare.push(last);
  }
  const top = document.createDocumentFragment();
  for (const e of entries) {
    let tr;
    if (e.gap) tr = fillGap(make('tr'), e.gap);
    else {
      tr = spare.pop() || newRow();
      tr.querySelector('.open').setAttribute('aria-expanded', 'false');
      fillRow(tr, e);
    }
    top.prepend(tr);
  }
  body.prepend(top);
}
