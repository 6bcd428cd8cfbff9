// The problems of the layout of a page, in words; empty if there are none.
() => {
  const frames = ".table-frame, .strip-frame, .report table, .said[tabindex]";
  const page = document.scrollingElement;
  const found = [];
  const name = (element) => {
    const text = (element.innerText || element.value || element.name || "").trim().split("\n")[0].slice(0, 40);
    return `${element.tagName.toLowerCase()}.${element.className?.baseVal ?? element.className} "${text}"`;
  };
  const shown = (element) =>
    element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !element.closest(".unseen, .skip, .rows thead");

  if (page.scrollWidth > page.clientWidth) found.push(`the page is ${page.scrollWidth} wide, on ${page.clientWidth}`);

  // Every text must be completely visible, on the page, and must not overlap another.
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const element = node.parentElement;
    if (!node.data.trim() || !shown(element) || element.closest("svg, select, datalist, script")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) if (box.width > 1) texts.push({ element, box });
  }
  for (const { element, box } of texts)
    if (!element.closest(frames) && (box.left < -1 || box.right > page.clientWidth + 1)) found.push(`off the page: ${name(element)}`);
  const deep = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 5;
  texts.forEach((one, index) => {
    for (const other of texts.slice(index + 1))
      if (deep(one.box, other.box) && one.element.closest(frames) === other.element.closest(frames))
        found.push(`${name(one.element)} overlaps ${name(other.element)}`);
  });
  for (const { element } of texts)
    if (!element.closest(frames) && element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== "inline")
      found.push(`beyond its box: ${name(element)}`);

  // No date, time, number of an order or reference may be broken into two lines, and no number stand apart from its unit.
  const whole = /\d+\s(?:Uhr|business|calendar|(?:day|hour|minute|week|month|year)s?|(?:(?:Werk|Kalender)t|T)age?n?|Stunden?|Minuten?|Wochen?|(?:Monat|Jahr)e?n?)(?!\p{L})|\d{1,2}\.?\s(?:Jan|Feb|M[aä]r|Apr|Ma[iy]|Jun|Jul|Aug|Sep|O[ck]t|Nov|De[cz])\p{L}*\.?(?:\s\d{4})?|\d\d:\d\d\sUhr|\b[AKT]-\d{4,}|\d{3}-\d{3}-\d{4}/gu;
  for (const { element } of texts) {
    for (const node of element.childNodes) {
      if (node.nodeType !== Node.TEXT_NODE) continue;
      for (const match of node.data.matchAll(whole)) {
        const range = document.createRange();
        range.setStart(node, match.index);
        range.setEnd(node, match.index + match[0].length);
        const tops = [...range.getClientRects()].filter((box) => box.width > 1).map((box) => Math.round(box.top));
        if (new Set(tops).size > 1) found.push(`broken: ${match[0]}`);
      }
    }
  }

  // Every target must be large enough and apart from others; a link within text is as high as its line.
  const targets = [...document.querySelectorAll("a, button, input, select, textarea, summary")].filter(
    (element) => shown(element.matches("[type=radio]") ? element.parentElement : element) && element.getClientRects().length && !element.matches(".skip"),
  );
  const inline = (element) =>
    element.matches("a") && getComputedStyle(element).display === "inline" && element.parentElement.innerText.trim() !== element.innerText.trim();
  for (const element of targets) {
    const box = element.getBoundingClientRect();
    if (!inline(element) && (box.width < 24 || box.height < 23.9)) found.push(`${Math.round(box.width)} by ${Math.round(box.height)}: ${name(element)}`);
  }
  targets.forEach((one, index) => {
    for (const other of targets.slice(index + 1))
      if (!one.contains(other) && deep(one.getBoundingClientRect(), other.getBoundingClientRect()))
        found.push(`${name(one)} is under ${name(other)}`);
  });
  return [...new Set(found)];
}
