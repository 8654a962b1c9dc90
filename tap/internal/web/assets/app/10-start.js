// Runs before the page is drawn: says that there is a script, and sets the
// theme that was chosen, so that nothing flashes.
const root = document.documentElement;
root.classList.add('js');

const $ = (id) => document.getElementById(id);

const theme = {
  names: ['auto', 'dark', 'light'],
  now: 'auto',
  load() {
    try {
      const t = localStorage.getItem('earshot.theme');
      if (theme.names.includes(t)) theme.now = t;
    } catch {} // storage may be forbidden; then the choice lasts for this page
    theme.apply();
  },
  apply() {
    if (theme.now === 'auto') root.removeAttribute('data-theme');
    else root.setAttribute('data-theme', theme.now);
    if ($('theme-name')) $('theme-name').textContent = theme.now;
  },
  next() {
    theme.now = theme.names[(theme.names.indexOf(theme.now) + 1) % theme.names.length];
    theme.apply();
    try { localStorage.setItem('earshot.theme', theme.now); } catch {}
  },
};
theme.load();

// What cannot be seen is drawn as an escape, as the server does in its part
// of the page: a name must not hide a part of itself or turn its neighbours.
const hiddenRunes = /[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/g;
const named = { '\n': '\\n', '\t': '\\t', '\r': '\\r' };
function visible(s) {
  return s.replace(hiddenRunes, (c) => named[c] ||
    (c.length > 1 ? `\\u{${c.codePointAt(0).toString(16)}}` : '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0')));
}

const grouped = (digits) => String(digits).replace(/\B(?=(\d{3})+$)/g, ',');

// make returns an element with a class and, as text and nothing but text,
// the words in it.
function make(tag, cls, text) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (text !== undefined) e.textContent = text;
  return e;
}

// note says something at the foot of the window for some seconds.
let noteTimer = 0;
function note(text) {
  $('note').textContent = text;
  clearTimeout(noteTimer);
  noteTimer = setTimeout(() => { $('note').textContent = ''; }, 4000);
}

function banner(text) {
  const b = $('banner');
  if (b.textContent !== text) b.textContent = text;
  b.hidden = !text;
}
