// Line numbers beside a text, and links to its lines.
(function () {
  'use strict';
  const text = document.getElementById('source');
  const gutter = document.querySelector('.gutter');
  if (!text || !gutter) return;

  function number() {
    const lines = text.value.split('\n').length;
    while (gutter.childElementCount > lines) gutter.lastChild.remove();
    for (let n = gutter.childElementCount + 1; n <= lines; n++) {
      const s = document.createElement('span');
      s.id = 'line-' + n;
      s.textContent = n;
      gutter.append(s);
    }
    follow();
  }
  function follow() { gutter.scrollTop = text.scrollTop; }
  function go(line, column) {
    const lines = text.value.split('\n');
    const at = lines.slice(0, line - 1).reduce((n, l) => n + l.length + 1, 0);
    text.focus();
    text.setSelectionRange(at + Math.max(column - 1, 0), at + (lines[line - 1] || '').length);
    const height = text.scrollHeight / lines.length;
    text.scrollTop = Math.max(0, (line - 6) * height);
    follow();
  }
  text.addEventListener('input', number);
  text.addEventListener('scroll', follow);
  document.addEventListener('click', (e) => {
    const a = e.target.closest('a[data-line]');
    if (!a) return;
    e.preventDefault();
    go(+a.dataset.line, +a.dataset.column);
  });
  number();
})();
