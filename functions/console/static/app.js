// The console's own script. Pages read without it; it brings the keyboard,
// times that run on, dialogs, and streams that come back by themselves.
(function () {
  'use strict';

  // Live pages --------------------------------------------------------------

  // A stream that survives: it keeps the last id itself, rests while nobody
  // looks, and comes again however it ended. When it cannot, the page still asks
  // now and then. It looks like an EventSource to htmx.
  class Stream extends EventTarget {
    constructor(url) {
      super();
      this.url = url;
      this.readyState = 0;
      this.last = '';
      this.failed = 0;
      this.kinds = new Set();
      this.onVisible = () => (document.hidden ? this.rest() : this.open());
      document.addEventListener('visibilitychange', this.onVisible);
      this.open();
    }
    open() {
      if (this.source || this.readyState === 2) return;
      clearTimeout(this.timer);
      const url = new URL(this.url, location.href);
      if (this.last) url.searchParams.set('after', this.last);
      const source = (this.source = new EventSource(url));
      source.onopen = (e) => {
        this.readyState = 1;
        this.failed = 0;
        pulse(true);
        if (this.onopen) this.onopen(e);
      };
      source.onerror = () => {
        // It ends every few minutes: that alone is no loss.
        source.close();
        if (this.source !== source) return;
        this.source = null;
        this.readyState = 0;
        if (++this.failed > 2) {
          pulse(false);
          this.dispatchEvent(new MessageEvent('changed', { data: '' }));
        }
        this.timer = setTimeout(() => this.open(), Math.min(250 * 2 ** this.failed, 10000));
      };
      this.kinds.forEach((k) => this.hear(k));
    }
    hear(kind) {
      this.source.addEventListener(kind, (e) => {
        if (e.lastEventId) this.last = e.lastEventId;
        document.dispatchEvent(new CustomEvent('relevo:' + kind));
        this.dispatchEvent(new MessageEvent(kind, { data: e.data, lastEventId: e.lastEventId }));
      });
    }
    rest() {
      clearTimeout(this.timer);
      if (this.source) this.source.close();
      this.source = null;
    }
    addEventListener(kind, f, o) {
      super.addEventListener(kind, f, o);
      if (!this.kinds.has(kind)) {
        this.kinds.add(kind);
        if (this.source) this.hear(kind);
      }
    }
    close() {
      this.rest();
      this.readyState = 2;
      document.removeEventListener('visibilitychange', this.onVisible);
    }
  }
  window.RelevoStream = Stream;
  if (window.htmx) htmx.createEventSource = (url) => new Stream(url);
  addEventListener('pagehide', (e) => { if (!e.persisted) document.querySelectorAll('[sse-connect]').forEach((n) => htmx.trigger(n, 'htmx:beforeCleanupElement')); });

  const light = document.getElementById('pulse');
  function pulse(alive) {
    light.hidden = false;
    light.classList.toggle('lost', !alive);
    const says = alive ? 'live' : 'reconnecting';
    if (light.textContent !== says) light.textContent = says;
  }

  // Times -------------------------------------------------------------------

  function span(ms) {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return s + ' s';
    const pad = (n) => String(n).padStart(2, '0');
    if (s < 3600) return Math.floor(s / 60) + ' min ' + pad(s % 60) + ' s';
    return Math.floor(s / 3600) + ' h ' + pad(Math.floor((s % 3600) / 60)) + ' min';
  }
  function ago(ms) {
    const s = Math.floor(ms / 1000);
    if (s < 0) return null;
    if (s < 5) return 'now';
    if (s < 60) return s + ' s ago';
    if (s < 3600) return Math.floor(s / 60) + ' min ago';
    if (s < 48 * 3600) return Math.floor(s / 3600) + ' h ago';
    return null;
  }
  function put(n, text) { if (text !== null && n.textContent !== text) n.textContent = text; }
  function tick() {
    if (document.hidden) return;
    const now = Date.now();
    document.querySelectorAll('[data-since]').forEach((n) => put(n, span(now - Date.parse(n.dataset.since))));
    document.querySelectorAll('time[data-ago]').forEach((n) => put(n, ago(now - Date.parse(n.dateTime))));
  }
  setInterval(tick, 1000);
  document.addEventListener('htmx:afterSwap', tick);

  // What people opened or folded stays so when the page is made anew, until the
  // server thinks otherwise of it than before.
  if (window.Idiomorph) {
    Idiomorph.defaults.callbacks.beforeNodeMorphed = (was, is) => {
      if (was.nodeName === 'DETAILS' && is.nodeName === 'DETAILS' && was.dataset.open === is.dataset.open) is.open = was.open;
    };
  }

  // Dialogs -----------------------------------------------------------------

  const dialog = document.getElementById('dialog');
  document.addEventListener('click', (e) => {
    const link = e.target.closest('a[data-dialog]');
    if (!link || e.metaKey || e.ctrlKey || e.shiftKey || e.button) return;
    e.preventDefault();
    htmx.ajax('GET', link.getAttribute('href'), { target: '#dialog', swap: 'innerHTML' }).then(() => {
      if (dialog.childElementCount) dialog.showModal();
    });
  });
  dialog.addEventListener('click', (e) => {
    if (e.target === dialog || e.target.closest('[data-close]')) { e.preventDefault(); dialog.close(); }
  });
  document.addEventListener('submit', (e) => {
    const b = e.submitter;
    if (e.target.matches('.ask-form') && b) setTimeout(() => { b.disabled = true; });
  });

  // Keyboard ----------------------------------------------------------------

  const help = document.getElementById('help');
  document.querySelectorAll('[data-help]').forEach((b) => {
    b.hidden = false;
    b.addEventListener('click', () => help.showModal());
  });
  const places = { r: '/', q: '/queue', c: '/capacity', e: '/events', t: '/triggers', a: '/access' };
  let going = 0;
  function move(by) {
    const links = [...document.querySelectorAll('[data-row] a.cover')].filter((a) => a.offsetParent);
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    const to = links[Math.max(0, Math.min(links.length - 1, at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by))];
    to.focus();
    to.closest('[data-row]').scrollIntoView({ block: 'nearest' });
  }
  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest('input, textarea, select, dialog[open]')) return;
    if (going && Date.now() - going < 1200 && places[e.key]) {
      going = 0;
      location.assign(places[e.key]);
      return;
    }
    going = 0;
    const field = document.querySelector('[data-search]');
    switch (e.key) {
      case '/': if (field) { e.preventDefault(); field.focus(); field.select(); } break;
      case 'j': move(1); break;
      case 'k': move(-1); break;
      case 'g': going = Date.now(); break;
      case 'u': { const up = document.querySelector('[data-up]'); if (up) up.click(); break; }
      case '?': help.showModal(); break;
    }
  });
})();
