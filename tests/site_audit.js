// What a reader of the page would stumble over: too little contrast, no name, two headings, text beyond the screen,
// what is too small to press.
() => {
  const found = [];
  const parse = (c) => {
    const m = c.match(/[\d.]+/g).map(Number);
    return m.length < 4 ? [...m, 1] : m;
  };
  const light = ([r, g, b]) => {
    const f = (v) => {
      v /= 255;
      return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c[3] > 0.99) return c;
    }
    return [255, 255, 255, 1];
  };
  const seen = (e) =>
    e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) &&
    e.getClientRects().length > 0 &&
    !e.closest(".unseen, .skip, .tooltip");
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const done = new Set();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (
      !node.textContent.trim() ||
      done.has(e) ||
      ["SCRIPT", "TITLE", "OPTION", "title"].includes(e.tagName) ||
      !seen(e)
    )
      continue;
    done.add(e);
    const style = getComputedStyle(e),
      ink = parse(e instanceof SVGElement ? style.fill : style.color),
      ground = behind(e);
    const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x),
      ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize),
      large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 600);
    if (ratio < (large ? 3 : 4.5)) found.push(`contrast ${ratio.toFixed(2)}: ${node.textContent.trim().slice(0, 40)}`);
  }
  const name = (e) =>
    e.getAttribute("aria-label") ||
    e.textContent.trim() ||
    (e.id && document.querySelector(`label[for="${e.id}"]`)?.textContent) ||
    e.closest("label")?.textContent;
  for (const e of document.querySelectorAll("a, button, input, select, canvas, svg[role=img], [role=region]"))
    if (seen(e) && !name(e)) found.push(`no name: ${e.outerHTML.slice(0, 80)}`);
  for (const e of document.querySelectorAll("svg, canvas"))
    if (seen(e) && e.getAttribute("role") !== "img" && e.getAttribute("aria-hidden") !== "true")
      found.push(`neither named nor hidden: ${e.outerHTML.slice(0, 60)}`);
  for (const e of document.querySelectorAll("table"))
    if (!e.caption || !e.querySelector("th[scope=col]")) found.push("a table without caption or heads");
  for (const e of document.querySelectorAll("button, select, input"))
    if (seen(e) && (e.offsetHeight < 24 || e.offsetWidth < 24))
      found.push(`too small to press: ${e.textContent || e.outerHTML.slice(0, 60)}`);
  if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
  const levels = [...document.querySelectorAll("h1, h2, h3")].map((e) => Number(e.tagName[1]));
  if (levels.some((l, i) => i && l > levels[i - 1] + 1)) found.push("a heading skips a level");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  if (new Set(ids).size !== ids.length) found.push("an id is there twice");
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth)
    found.push(`wider than the screen by ${root.scrollWidth - root.clientWidth} px`);
  return found;
};
