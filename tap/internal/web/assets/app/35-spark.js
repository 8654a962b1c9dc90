// A line beside a rate: where it has been for the last two minutes. It is
// drawn of what this tab has seen, and kept while one goes to another page.
const sparkKey = 'earshot.spark:' + location.pathname;
const sparkTime = 120000;

function drawSparks() {
  const facts = document.querySelectorAll('#view .figures [data-kind=rate]');
  if (!facts.length) return;
  let all = {};
  try { all = JSON.parse(sessionStorage.getItem(sparkKey)) || {}; } catch {}
  const now = Date.now();
  for (const f of facts) {
    const name = f.closest('section').id + '.' + f.dataset.key, data = f.querySelector('data');
    const points = (all[name] || []).filter(([t]) => t > now - sparkTime && t < now);
    if (data) points.push([now, Number(data.value)]);
    all[name] = points;
    drawSpark(f.querySelector('dd'), points, now);
  }
  try { sessionStorage.setItem(sparkKey, JSON.stringify(all)); } catch {}
}

function drawSpark(into, points, now) {
  let svg = into.querySelector('.spark');
  if (!svg) {
    svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('class', 'spark');
    svg.setAttribute('viewBox', '0 0 96 20');
    svg.setAttribute('aria-hidden', 'true');
    svg.dataset.own = '1';
    svg.append(document.createElementNS(svg.namespaceURI, 'path'));
    into.append(svg);
  }
  const top = Math.max(1, ...points.map(([, v]) => v));
  let line = '', last = 0;
  for (const [t, v] of points) {
    const x = 96 - (now - t) / sparkTime * 96, y = 19 - v / top * 18;
    line += `${t - last < 5000 ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`; // not across a time that was not seen
    last = t;
  }
  svg.firstChild.setAttribute('d', line);
}
