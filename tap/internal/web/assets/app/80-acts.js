// What can be taken along: rows, command lines, a row as JSON.

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // not a secure context
    const area = make('textarea', 'sr', text), back = document.activeElement;
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    if (back) back.focus({ preventScroll: true });
    if (!done) {
      note('The browser does not let this page copy.');
      return;
    }
  }
  note(`Copied ${what}.`);
}

const quote = (s) => `'${s.replaceAll("'", "'\\''")}'`;

function curlLine() {
  return `curl -N -H 'Accept: application/x-ndjson' ${quote(streamURL())}`;
}

function commandLine() {
  const q = streamQuery(), filter = q.get('filter') || '';
  let line = `earshot tap --url ${quote(new URL('./', location.href).href)}`;
  if (q.get('rate')) line += ` --rate ${quote(q.get('rate'))}`;
  if (filter) line += (filter[0] === '-' ? ' -- ' : ' ') + quote(filter);
  return line;
}

// save keeps what is on the page and what is held, the oldest first, as it came.
function save() {
  const shown = [...$('rows').children].filter(isRecord).reverse().map((tr) => entryOf.get(tr));
  const lines = [...shown, ...stream.held.filter((e) => !e.gap)].map((e) => e.text + '\n');
  const a = make('a');
  a.href = URL.createObjectURL(new Blob(lines, { type: 'application/x-ndjson' }));
  a.download = `earshot-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}.ndjson`;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10000);
  note(`Saved ${grouped(lines.length)} events.`);
}

// rowJSON writes a row of a table as its twin has it. Numbers are copied as
// digits, not as numbers.
function rowJSON(tr) {
  if (isRecord(tr)) return entryOf.get(tr).text;
  const heads = tr.closest('table').querySelectorAll('thead th');
  const one = (td, kind) => {
    const exact = td.querySelector('data'), time = td.querySelector('time'), bdi = td.querySelector('bdi');
    if (exact) return exact.getAttribute('value');
    if (time) return JSON.stringify(time.getAttribute('datetime'));
    if (bdi) return JSON.stringify(bdi.dataset.value || bdi.textContent);
    if (kind === 'flag' && td.textContent !== '–') return String(td.textContent === 'yes');
    return 'null';
  };
  return '{' + [...tr.cells].map((td, i) => `${JSON.stringify(heads[i].dataset.key)}:${one(td, heads[i].dataset.kind)}`).join(',') + '}';
}

function watchActs() {
  if (!$('tap')) return;
  $('save').addEventListener('click', save);
  $('curl').addEventListener('click', () => copy(curlLine(), 'a curl line'));
  $('cli').addEventListener('click', () => copy(commandLine(), 'an earshot command'));
  $('clear').addEventListener('click', () => { $('rows').replaceChildren(); drawLedger(); });
}
