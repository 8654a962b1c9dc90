// JSON as text. JSON.parse would round every number beyond 2^53, so payloads
// are never parsed: they are cut and coloured as they came.

// stringEnd answers where the string that begins at i ends.
function stringEnd(text, i) {
  for (let from = i + 1; ;) {
    const quote = text.indexOf('"', from);
    if (quote < 0) return text.length;
    let back = quote;
    while (back > i + 1 && text[back - 1] === '\\') back--;
    if ((quote - back) % 2 === 0) return quote + 1;
    from = quote + 1;
  }
}

function skipSpace(text, i) {
  while (i < text.length && text.charCodeAt(i) <= 32) i++;
  return i;
}

// valueEnd answers where the value that begins at i ends.
function valueEnd(text, i) {
  let depth = 0;
  while (i < text.length) {
    const c = text[i];
    if (c === '"') {
      i = stringEnd(text, i);
      if (!depth) return i;
      continue;
    }
    if (c === '{' || c === '[') depth++;
    else if (c === '}' || c === ']') {
      if (!depth) return i;
      if (!--depth) return i + 1;
    } else if (!depth && (c === ',' || c.charCodeAt(0) <= 32)) return i;
    i++;
  }
  return i;
}

// members cuts an object into its members, key to raw text.
function members(text) {
  const out = Object.create(null);
  let i = skipSpace(text, 0);
  if (text[i] !== '{') return out;
  for (i = skipSpace(text, i + 1); text[i] === '"'; i = skipSpace(text, i + 1)) {
    const keyEnd = stringEnd(text, i);
    const key = JSON.parse(text.slice(i, keyEnd));
    i = skipSpace(text, keyEnd);
    if (text[i] !== ':') break;
    i = skipSpace(text, i + 1);
    const end = valueEnd(text, i);
    out[key] = text.slice(i, end);
    i = skipSpace(text, end);
    if (text[i] !== ',') break;
  }
  return out;
}

// word reads a raw string, and anything else as its text.
function word(raw) {
  if (raw === undefined) return '';
  return raw[0] === '"' ? JSON.parse(raw) : raw;
}

const big = (raw) => (/^\d+$/.test(raw || '') ? BigInt(raw) : 0n);

// The server writes <, > and & as escapes, for pages that are less careful.
// Here they are shown as what they are; what is hidden stays an escape.
function readable(raw) {
  return visible(raw.replace(/\\(?:u00(3[ce]|26)|[^])/gi, (m, h) => (h ? String.fromCharCode(parseInt(h, 16)) : m)));
}

// pretty draws JSON over several lines into an element. Beyond so many nodes
// the rest is one text, because a browser has limits too.
function pretty(into, text) {
  let indent = 0, room = 6000;
  const out = document.createDocumentFragment();
  const plain = (s) => {
    const last = out.lastChild;
    if (last && last.nodeType === Node.TEXT_NODE) last.data += s;
    else out.append(s);
  };
  const line = () => plain('\n' + '  '.repeat(Math.min(indent, 60)));
  for (let i = skipSpace(text, 0); i < text.length; i = skipSpace(text, i)) {
    if (room-- <= 0) {
      plain(readable(text.slice(i)));
      break;
    }
    const c = text[i];
    if (c === '"') {
      const end = stringEnd(text, i), next = skipSpace(text, end);
      out.append(make('span', text[next] === ':' ? 'k' : 's', readable(text.slice(i, end))));
      i = end;
    } else if (c === '{' || c === '[') {
      const next = skipSpace(text, i + 1);
      if (text[next] === '}' || text[next] === ']') {
        plain(c + text[next]);
        i = next + 1;
        continue;
      }
      plain(c);
      indent++;
      line();
      i++;
    } else if (c === '}' || c === ']') {
      indent = Math.max(0, indent - 1);
      line();
      plain(c);
      i++;
    } else if (c === ',') {
      plain(c);
      line();
      i++;
    } else if (c === ':') {
      plain(': ');
      i++;
    } else {
      const end = Math.max(valueEnd(text, i), i + 1);
      out.append(make('span', /[-0-9]/.test(c) ? 'd' : 'w', visible(text.slice(i, end))));
      i = end;
    }
  }
  into.replaceChildren(out);
}
