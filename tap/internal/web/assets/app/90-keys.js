// Keys. They are for those who do not type into a field, and never take one
// that the browser or a screen reader has a use for.
const pages = { o: './', c: './channels', s: './subscribers', l: './slow', t: './tap' };
let went = 0; // when g was pressed

function rowsOfPage() {
  return [...document.querySelectorAll('#view tbody tr, #rows tr[data-seq]')];
}

function here() {
  const a = document.activeElement;
  return a && a.closest('#view tbody tr, #rows tr[data-seq]');
}

function move(by) {
  const rows = rowsOfPage();
  if (!rows.length) return;
  const at = rows.indexOf(here());
  const to = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1)];
  to.tabIndex = -1;
  to.focus({ preventScroll: true });
  to.scrollIntoView({ block: 'nearest' });
}

function open(tr) {
  if (isRecord(tr)) toggle(tr);
  else {
    const a = tr.querySelector('a');
    if (a) location.href = a.href;
  }
}

function onKey(e) {
  if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
  const t = e.target;
  if (inField()) {
    if (e.key === 'Escape') t.blur();
    return;
  }
  const second = performance.now() - went < 1500;
  went = 0;
  if (second && pages[e.key]) {
    location.href = pages[e.key];
    return;
  }
  const row = here(), onControl = t.closest && t.closest('a, button, summary');
  switch (e.key) {
    case 'g': went = performance.now(); return;
    case 'j': move(1); break;
    case 'k': move(-1); break;
    case '?': location.href = './help'; break;
    case '/': {
      const f = $('filter') || $('q');
      if (f) { f.focus(); f.select(); } else location.href = './tap';
      break;
    }
    case ' ':
      if (onControl && onControl.tagName !== 'A') return;
      pause.set('user', !pause.user);
      break;
    case 'Enter':
      if (!row || onControl) return;
      open(row);
      break;
    case '.':
      if (!row) { note('Choose a row first, with j and k.'); return; }
      copy(rowJSON(row), 'the row as JSON');
      break;
    default: return;
  }
  e.preventDefault();
}

function run() {
  watchState();
  watchTap();
  watchView();
  watchActs();
  document.addEventListener('keydown', onKey);
  const page = document.querySelector('nav [aria-current]'), nav = page && page.parentNode;
  if (nav) nav.scrollLeft = page.offsetLeft - nav.offsetLeft - (nav.clientWidth - page.offsetWidth) / 2;
}
if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', run);
else run();
