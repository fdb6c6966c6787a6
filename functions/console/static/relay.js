// The relay: a line for each event as it happens, its dot in the lane of its
// context, and a thread from each cause to its effects.
(function () {
  'use strict';
  const root = document.getElementById('relay');
  if (!root) return;
  const list = root.querySelector('.relay-rows');
  const svg = root.querySelector('.threads');
  const none = root.querySelector('.none');
  const lanes = [...root.querySelectorAll('.lanes-head span')].map((n) => n.textContent);
  const MOST = 240;
  const NS = 'http://www.w3.org/2000/svg';
  let paused = false;
  let waiting = [];
  root.classList.add('drawn');

  function make(name, attrs) {
    const n = document.createElementNS(NS, name);
    for (const k in attrs) n.setAttribute(k, attrs[k]);
    return n;
  }
  let planned = false;
  function draw() {
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => { planned = false; paint(); });
  }
  function paint() {
    const rows = [...list.children];
    none.hidden = rows.length > 0;
    const width = svg.clientWidth;
    const gap = width / lanes.length;
    svg.setAttribute('height', String(list.offsetHeight));
    const made = document.createDocumentFragment();
    lanes.forEach((_, i) => made.append(make('path', { class: 'lane', d: 'M' + (gap * (i + .5)) + ' 0V' + list.offsetHeight })));
    const place = new Map();
    rows.forEach((li) => place.set(li.dataset.id, [gap * (+li.dataset.lane + .5), li.offsetTop + li.offsetHeight / 2]));
    const dots = [];
    rows.forEach((li) => {
      const [x, y] = place.get(li.dataset.id);
      const from = place.get(li.dataset.cause);
      if (from) {
        const [a, b] = from;
        const mid = (y + b) / 2;
        made.append(make('path', { class: 'thread', 'data-to': li.dataset.id, 'data-from': li.dataset.cause, d: a === x ? 'M' + a + ' ' + b + 'C' + (a - gap / 3) + ' ' + b + ' ' + (a - gap / 3) + ' ' + y + ' ' + x + ' ' + y : 'M' + a + ' ' + b + 'C' + a + ' ' + mid + ' ' + x + ' ' + mid + ' ' + x + ' ' + y }));
      }
      dots.push(make('circle', { class: 'dot c-' + li.dataset.class, 'data-id': li.dataset.id, cx: x, cy: y, r: 5 }));
    });
    dots.forEach((d) => made.append(d));
    svg.replaceChildren(made);
    if (lit) light(lit);
  }

  function line(e) {
    const li = document.createElement('li');
    li.id = 'e-' + e.id;
    Object.assign(li.dataset, { id: e.id, cause: e.cause || '', lane: e.lane, class: e.class });
    li.tabIndex = -1;
    const part = (tag, cls, text) => { const n = document.createElement(tag); n.className = cls; n.textContent = text; return n; };
    const time = part('time', 'num dim', e.clock);
    time.dateTime = e.time;
    const name = part('span', 'e-name', '');
    name.append(part('span', 'e-lane dim', lanes[e.lane] + ' '), part('b', '', e.name));
    const subject = part('span', 'e-subject', '');
    const bdi = document.createElement('bdi');
    if (e.run) {
      const a = part('a', '', e.subject);
      a.href = '/runs/' + encodeURIComponent(e.run);
      a.tabIndex = -1;
      bdi.append(a);
    } else bdi.textContent = e.subject;
    subject.append(bdi);
    const from = part('span', 'e-from dim', 'by ');
    const by = document.createElement('bdi');
    by.textContent = e.from;
    from.append(by);
    li.append(time, name, subject, from);
    li.classList.add('fresh');
    return li;
  }
  function add(list_) {
    for (const e of list_) {
      if (document.getElementById('e-' + e.id)) continue;
      list.prepend(line(e));
    }
    while (list.children.length > MOST) list.lastElementChild.remove();
    draw();
  }

  // Causes and effects -----------------------------------------------------------

  let lit = '';
  function light(id) {
    lit = id;
    const on = new Set();
    if (id) {
      const cause = new Map([...list.children].map((li) => [li.dataset.id, li.dataset.cause]));
      for (let at = id; at && !on.has(at); at = cause.get(at)) on.add(at);
      const below = new Set([id]);
      for (let grew = true; grew;) {
        grew = false;
        cause.forEach((c, e) => { if (below.has(c) && !below.has(e)) { below.add(e); grew = true; } });
      }
      below.forEach((e) => on.add(e));
    }
    root.classList.toggle('lighting', on.size > 0);
    for (const li of list.children) li.classList.toggle('lit', on.has(li.dataset.id));
    svg.querySelectorAll('.thread').forEach((t) => t.classList.toggle('lit', on.has(t.dataset.to) && on.has(t.dataset.from)));
    svg.querySelectorAll('.dot').forEach((d) => d.classList.toggle('lit', on.has(d.dataset.id)));
  }
  list.addEventListener('pointerover', (e) => { const li = e.target.closest('li'); if (li) light(li.dataset.id); });
  list.addEventListener('pointerleave', () => light(''));
  list.addEventListener('focusin', (e) => { const li = e.target.closest('li'); if (li) light(li.dataset.id); });
  document.addEventListener('keydown', (e) => {
    if (e.target.closest('input, textarea, dialog[open]') || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === 'j' || e.key === 'k') {
      const at = document.activeElement.closest && document.activeElement.closest('.relay-rows li');
      const to = at ? (e.key === 'j' ? at.nextElementSibling : at.previousElementSibling) : list.firstElementChild;
      if (to) to.focus();
    }
    if (e.key === 'p') pause.click();
  });

  // Live --------------------------------------------------------------------------

  const pause = document.getElementById('pause');
  pause.hidden = false;
  pause.addEventListener('click', () => {
    paused = !paused;
    pause.setAttribute('aria-pressed', String(paused));
    pause.textContent = paused ? 'Go on' : 'Pause';
    if (!paused) { add(waiting); waiting = []; }
  });
  const q = new URLSearchParams();
  for (const k of ['run', 'context', 'after']) if (root.dataset[k]) q.set(k, root.dataset[k]);
  const stream = new RelevoStream('/relay?' + q);
  stream.addEventListener('line', (e) => {
    const it = JSON.parse(e.data);
    if (!paused) { add([it]); return; }
    waiting.push(it);
    if (waiting.length > MOST) waiting.shift();
    pause.textContent = 'Go on (' + waiting.length + ')';
  });
  new ResizeObserver(draw).observe(root);
  draw();
})();
