// The log viewer: however long a log is, no more lines stand in the page than
// are seen. Lines come from the server in blocks, as text and names of styles.
(function () {
  'use strict';
  const root = document.getElementById('log');
  if (!root) return;
  const view = root.querySelector('.log-view');
  const old = root.querySelector('.log-lines');
  const base = root.dataset.base;
  const attempt = root.dataset.attempt;
  const ROW = 20; // as in the stylesheet
  const BLOCK = 256;
  const TALL = 8e6; // browsers lose count of much taller pages
  const KEEP = 60; // blocks

  let lines = +root.dataset.lines;
  let bytes = +root.dataset.bytes;
  let over = 'over' in root.dataset;
  let folds = [];
  const folded = new Set(); // first lines of folds that are closed
  const chosen = new Map(); // what people chose of a fold, by its first line
  let hidden = []; // [first, last] that do not show, in order, apart
  let rows = 0; // that show
  let top = 0; // of the view, in pixels of the whole log
  let lastScroll = 0;
  let follow = false;
  let picked = null; // [from, to]
  let found = [];
  let at = -1;
  let query = '';
  const blocks = new Map();

  // The page as it is now: a spacer as tall as the log, and a few rows on it.
  const spacer = document.createElement('div');
  spacer.className = 'log-spacer';
  const pane = document.createElement('div');
  pane.className = 'log-pane';
  spacer.append(pane);
  old.replaceWith(spacer);
  root.classList.add('virtual');
  root.querySelector('.log-pager').remove();
  root.querySelectorAll('.log-bar [hidden], .log-bar form[hidden]').forEach((n) => { n.hidden = false; });

  // Which lines show ---------------------------------------------------------

  function layout() {
    hidden = [];
    for (const f of folds) {
      if (!folded.has(f.s)) continue;
      const last = f.e || lines;
      if (last <= f.s) continue;
      const tail = hidden[hidden.length - 1];
      if (tail && f.s + 1 <= tail[1] + 1) tail[1] = Math.max(tail[1], last);
      else hidden.push([f.s + 1, last]);
    }
    let gone = 0;
    for (const h of hidden) {
      h[2] = gone; // hidden before it
      gone += h[1] - h[0] + 1;
    }
    rows = lines - gone;
    spacer.style.height = Math.max(Math.min(rows * ROW, TALL), 1) + 'px';
    root.style.setProperty('--digits', String(Math.max(String(lines).length, 2)));
  }
  // lineOf gives the line of a row, counted from 0.
  function lineOf(row) {
    let lo = 0, hi = hidden.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (hidden[mid][0] - 1 - hidden[mid][2] <= row) lo = mid + 1; else hi = mid;
    }
    if (!lo) return row + 1;
    const h = hidden[lo - 1];
    return row + 1 + h[2] + (h[1] - h[0] + 1);
  }
  // rowOf gives the row of a line; of one that is hidden that of its heading.
  function rowOf(line) {
    let gone = 0;
    for (const h of hidden) {
      if (h[0] > line) break;
      if (h[1] >= line) return h[0] - 2 - h[2];
      gone = h[2] + h[1] - h[0] + 1;
    }
    return line - 1 - gone;
  }
  function show(line) {
    let changed = false;
    for (const f of folds) {
      if (f.s < line && line <= (f.e || lines) && folded.delete(f.s)) { chosen.set(f.s, false); changed = true; }
    }
    if (changed) layout();
  }

  // Where we are --------------------------------------------------------------

  const height = () => view.clientHeight;
  const most = () => Math.max(0, rows * ROW - height());
  const room = () => Math.max(0, spacer.offsetHeight - height());
  // A log that is taller than the spacer scrolls by the pixel near where one is,
  // and in proportion when the bar is dragged.
  function scrolled() {
    const now = view.scrollTop;
    const delta = now - lastScroll;
    lastScroll = now;
    if (most() <= room()) top = now;
    else if (now <= 0) top = 0;
    else if (now >= room() - 1) top = most();
    else if (Math.abs(delta) < height() * 2) top = Math.max(0, Math.min(most(), top + delta));
    else top = (now / room()) * most();
    if (follow && delta < 0 && top < most() - ROW) setFollow(false);
    draw();
  }
  function settle() { // the bar where it belongs, once it rests
    if (most() <= room()) return;
    const want = (top / most()) * room();
    if (Math.abs(view.scrollTop - want) > 1) {
      view.scrollTop = want;
      lastScroll = view.scrollTop;
      draw();
    }
  }
  function go(pixels) {
    top = Math.max(0, Math.min(most(), pixels));
    view.scrollTop = most() <= room() ? top : (top / most()) * room();
    lastScroll = view.scrollTop;
    draw();
  }
  function goTo(line) {
    show(line);
    go(rowOf(line) * ROW - height() / 3);
  }
  let resting = 0;
  view.addEventListener('scroll', () => {
    scrolled();
    clearTimeout(resting);
    resting = setTimeout(settle, 150);
  }, { passive: true });
  new ResizeObserver(() => draw()).observe(view);

  // Drawing -------------------------------------------------------------------

  function block(n) {
    let b = blocks.get(n);
    if (b && !(b.stale && !b.asked)) return b.lines;
    if (!b) { b = { lines: null }; blocks.set(n, b); }
    b.asked = true;
    b.stale = false;
    ask('/lines', { from: n * BLOCK + 1, count: BLOCK }).then((got) => {
      b.lines = got;
      b.asked = false;
      draw();
    }).catch(() => { blocks.delete(n); setTimeout(draw, 1000); });
    while (blocks.size > KEEP) blocks.delete(blocks.keys().next().value);
    return b.lines;
  }
  function ask(path, q) {
    const url = base + path + '?' + new URLSearchParams({ attempt, ...q });
    return fetch(url, { headers: { Accept: 'application/json' } }).then((r) => {
      if (!r.ok) throw new Error(r.status);
      return r.json();
    });
  }
  let asked = false;
  function draw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; paint(); });
  }
  const starts = new Map();
  function paint() {
    const first = Math.max(0, Math.floor(top / ROW) - 10);
    const count = Math.min(rows - first, Math.ceil(height() / ROW) + 20);
    const made = document.createDocumentFragment();
    const wanted = new Set();
    for (let r = first; r < first + count; r++) {
      const n = lineOf(r);
      const b = Math.floor((n - 1) / BLOCK);
      wanted.add(b);
      const known = blocks.get(b);
      made.append(row(n, known && known.lines ? known.lines[(n - 1) % BLOCK] : undefined));
    }
    wanted.forEach(block);
    pane.replaceChildren(made);
    // The pane stands where the view is, whatever the bar says.
    const shift = view.scrollTop - top + first * ROW;
    pane.style.transform = 'translateY(' + Math.round(shift) + 'px)';
  }
  function row(n, data) {
    const line = document.createElement('div');
    line.className = 'ln';
    line.id = 'L' + n;
    if (picked && n >= picked[0] && n <= picked[1]) line.classList.add('picked');
    const no = document.createElement('a');
    no.className = 'no';
    no.href = '#L' + n;
    no.tabIndex = -1;
    no.textContent = n;
    const text = document.createElement('span');
    text.className = 'tx';
    line.append(no);
    const f = starts.get(n);
    if (f) {
      const b = document.createElement('button');
      b.type = 'button';
      b.className = 'fold';
      b.dataset.line = n;
      b.setAttribute('aria-expanded', String(!folded.has(n)));
      b.textContent = f.t || ' ';
      line.classList.add(f.p ? 'k-step' : 'k-group');
      text.append(b);
      if (folded.has(n)) {
        const more = document.createElement('span');
        more.className = 'more';
        more.textContent = ' ' + ((f.e || lines) - n) + ' lines';
        text.append(more);
      }
    } else if (data === undefined) {
      line.classList.add('coming');
    } else if (typeof data === 'string') {
      text.textContent = data;
    } else {
      if (data[0]) line.classList.add('k-' + data[0]);
      for (let i = 1; i + 1 < data.length; i += 2) {
        if (!data[i + 1]) { text.append(data[i]); continue; }
        const s = document.createElement('span');
        s.className = data[i + 1];
        s.textContent = data[i];
        text.append(s);
      }
    }
    if (query && found.length && at >= 0 && found[at] === n) line.classList.add('here');
    if (query) mark(text);
    line.append(text);
    return line;
  }
  // mark shows what was searched for, where it stands within one style.
  function mark(node) {
    const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (let t of texts) {
      let i;
      while ((i = t.data.toLowerCase().indexOf(query)) >= 0) {
        const hit = t.splitText(i);
        t = hit.splitText(query.length);
        const m = document.createElement('mark');
        hit.replaceWith(m);
        m.append(hit);
      }
    }
  }

  // Folding -------------------------------------------------------------------

  function setFolds(list) {
    folds = (list || []).filter((f) => (f.e || lines) > f.s); // a heading without lines folds nothing
    starts.clear();
    for (const f of folds) {
      starts.set(f.s, f);
      // A group that is whole is folded at first; steps are not.
      const want = chosen.has(f.s) ? chosen.get(f.s) : !f.p && f.e > 0;
      if (want) folded.add(f.s); else folded.delete(f.s);
    }
    foldAll.hidden = !folds.length;
  }
  const foldAll = root.querySelector('[data-fold]');
  foldAll.addEventListener('click', () => {
    const all = folds.some((f) => !folded.has(f.s));
    for (const f of folds) {
      chosen.set(f.s, all);
      if (all) folded.add(f.s); else folded.delete(f.s);
    }
    foldAll.textContent = all ? 'Unfold all' : 'Fold all';
    const line = lineOf(Math.floor(top / ROW));
    layout();
    go(rowOf(line) * ROW);
  });
  view.addEventListener('click', (e) => {
    const b = e.target.closest('.fold');
    const no = e.target.closest('.no');
    if (b) {
      const n = +b.dataset.line;
      const close = !folded.has(n);
      chosen.set(n, close);
      if (close) folded.add(n); else folded.delete(n);
      layout();
      scrolled();
      paint();
      const again = pane.querySelector('.fold[data-line="' + n + '"]');
      if (again) again.focus();
    } else if (no) {
      e.preventDefault();
      const n = +no.textContent;
      pick(e.shiftKey && picked ? [Math.min(picked[0], n), Math.max(picked[0], n)] : [n, n]);
      setFollow(false);
    }
  });

  // Permalinks: #L120, #L120-L140 ----------------------------------------------

  function pick(range) {
    picked = range;
    const hash = '#L' + range[0] + (range[1] > range[0] ? '-L' + range[1] : '');
    if (location.hash !== hash) history.replaceState(null, '', hash);
    draw();
  }
  function fromHash() {
    const m = /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash);
    if (!m) return false;
    const a = Math.min(Math.max(+m[1], 1), Math.max(lines, 1));
    const b = Math.min(Math.max(+(m[2] || m[1]), a), Math.max(lines, 1));
    picked = [a, b];
    setFollow(false);
    goTo(a);
    return true;
  }
  addEventListener('hashchange', fromHash);

  // Search --------------------------------------------------------------------

  const field = root.querySelector('#find');
  const says = root.querySelector('.finds');
  let round = 0;
  function search() {
    const q = field.value.toLowerCase();
    if (q === query) return;
    query = q;
    found = [];
    at = -1;
    if (!q) { says.textContent = ''; draw(); return; }
    const mine = ++round;
    says.textContent = '…';
    ask('/search', { q }).then((got) => {
      if (mine !== round) return;
      found = got.lines;
      found.more = got.more;
      at = -1;
      if (found.length) step(1); else { says.textContent = 'none'; draw(); }
    }).catch(() => { if (mine === round) says.textContent = 'failed'; });
  }
  function step(by) {
    if (!found.length) return;
    if (at < 0) { // from where one looks
      const line = lineOf(Math.max(0, Math.floor(top / ROW)));
      at = found.findIndex((n) => n >= line);
      if (at < 0) at = 0;
    } else at = (at + by + found.length) % found.length;
    says.textContent = (at + 1) + ' of ' + found.length + (found.more ? '+' : '');
    setFollow(false);
    goTo(found[at]);
  }
  let typing = 0;
  field.addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(search, 250); });
  field.form.addEventListener('submit', (e) => {
    e.preventDefault();
    clearTimeout(typing);
    if (field.value.toLowerCase() !== query) search(); else step(1);
  });
  field.addEventListener('keydown', (e) => {
    if (e.key === 'Escape') { field.value = ''; search(); view.focus(); }
    if (e.key === 'Enter' && e.shiftKey) { e.preventDefault(); step(-1); }
  });
  root.querySelectorAll('[data-step]').forEach((b) => b.addEventListener('click', () => step(+b.dataset.step)));
  document.addEventListener('keydown', (e) => {
    if (e.target.closest('input, textarea, dialog[open]') || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === 'n') step(1);
    else if (e.key === 'N') step(-1);
    else if (e.key === 'G' || (e.key === 'End' && e.target === view)) { e.preventDefault(); go(most()); }
    else if (e.key === 'Home' && e.target === view) { e.preventDefault(); setFollow(false); go(0); }
    else if ((e.key === 'j' || e.key === 'k') && !e.target.closest('a.cover')) { setFollow(false); go(top + (e.key === 'j' ? ROW : -ROW)); }
  });
  root.querySelector('[data-end]').addEventListener('click', () => go(most()));

  // Following -----------------------------------------------------------------

  const box = root.querySelector('[data-follow]');
  const sizes = root.querySelector('.log-size');
  function setFollow(on) {
    follow = on && !over;
    box.checked = follow;
    if (follow) go(most());
  }
  box.addEventListener('change', () => setFollow(box.checked));
  function told(info) {
    const before = lines;
    lines = info.lines;
    bytes = info.bytes;
    over = info.over;
    if (lines !== before) { // the last block has grown
      const b = blocks.get(Math.floor((before - 1) / BLOCK));
      if (b) b.stale = true;
      for (let n = Math.floor(Math.max(before - 1, 0) / BLOCK); n <= Math.floor(lines / BLOCK); n++) if (blocks.get(n)) blocks.get(n).stale = true;
    } else if (blocks.size) {
      const b = blocks.get(Math.floor(Math.max(lines - 1, 0) / BLOCK));
      if (b) b.stale = true;
    }
    setFolds(info.folds);
    layout();
    const unit = bytes < 1048576 ? (bytes / 1024).toFixed(1) + ' KiB' : (bytes / 1048576).toFixed(1) + ' MiB';
    sizes.textContent = lines.toLocaleString('en') + (lines === 1 ? ' line, ' : ' lines, ') + unit;
    box.closest('label').hidden = over;
    if (follow) go(most()); else draw();
  }
  let looking = false;
  let again = false;
  function look() {
    if (looking) { again = true; return; }
    looking = true;
    ask('/info', {}).then(told).catch(() => {}).finally(() => {
      looking = false;
      if (again) { again = false; look(); }
    });
  }
  document.addEventListener('relevo:changed', look);
  setInterval(() => { if (!over && !document.hidden) look(); }, 5000);

  ask('/info', {}).then((info) => {
    told(info);
    if (fromHash()) return;
    if (!over) setFollow(true);
    else if ('failed' in root.dataset) go(most());
    else go(0);
  });
})();
