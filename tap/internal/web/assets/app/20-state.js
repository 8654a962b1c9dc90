// Whether the page moves. It stands still for three reasons, and moves again
// when none of them holds: somebody said so, text is selected, the tab is
// hidden.
const pause = {
  user: false,
  select: false,
  hidden: document.hidden,
  changed: [], // functions to call
  get on() { return pause.user || pause.select || pause.hidden; },
  set(why, value) {
    if (pause[why] === value) return;
    pause[why] = value;
    if (why === 'user') {
      $('pause').setAttribute('aria-pressed', String(value));
      $('pause').textContent = value ? 'Resume' : 'Pause';
    }
    showState();
    for (const f of pause.changed) f();
  },
};

// The connection: live, reconnecting or ended. A page that stands still on a
// connection that works is paused.
let connection = 'live';
function setConnection(state) {
  connection = state;
  showState();
}
function showState() {
  const word = connection === 'live' && pause.on ? 'paused' : connection;
  const c = $('conn');
  c.dataset.state = word;
  if (c.textContent !== word) c.textContent = word;
}

function watchState() {
  $('pause').addEventListener('click', () => pause.set('user', !pause.user));
  $('theme').addEventListener('click', theme.next);
  document.addEventListener('visibilitychange', () => pause.set('hidden', document.hidden));
  document.addEventListener('selectionchange', () => {
    const s = getSelection();
    pause.set('select', !!s && !s.isCollapsed && !!s.anchorNode && $('main').contains(s.anchorNode));
  });
  $('theme-name').textContent = theme.now;
  showState();
}
