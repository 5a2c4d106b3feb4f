/* The app's base: data that scripts hand over, elements, loading on demand, pages by the address after the #. */
"use strict";

/** What data files call: deepnullSite.put(key, value). */
const deepnullSite = {
  data: new Map(),
  put(key, value) {
    this.data.set(key, value);
  },
};

const dn = { pages: {} };

/** Return an element: attributes by name (`class`, `aria-...`, `onclick`), children as elements or text, never as HTML. */
dn.el = (name, attributes = {}, ...children) => dn.fill(document.createElement(name), attributes, children);

/** The same for SVG. */
dn.svg = (name, attributes = {}, ...children) =>
  dn.fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

dn.fill = (element, attributes, children) => {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(3)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
};

/** Return the value of a key, loading its script the first time; a promise. */
dn.load = (key, path) => {
  if (deepnullSite.data.has(key)) return Promise.resolve(deepnullSite.data.get(key));
  return new Promise((resolve, reject) => {
    const script = dn.el("script", { src: path });
    script.onload = () =>
      deepnullSite.data.has(key) ? resolve(deepnullSite.data.get(key)) : reject(new Error(`${path} holds no ${key}`));
    script.onerror = () =>
      reject(new Error(`${path} could not be read. If the site was copied, copy the whole folder, or send site.zip`));
    document.head.append(script);
    script.addEventListener("load", () => script.remove());
  });
};

/** Return the bytes of a base64 text. */
dn.bytes = (text) => {
  const raw = atob(text),
    out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
};

/** Return the numbers of a packed array: little-endian, whatever the machine. */
dn.numbers = (text, bytes) => {
  const view = new DataView(dn.bytes(text).buffer),
    n = view.byteLength / bytes;
  const out = bytes === 2 ? new Uint16Array(n) : new Uint32Array(n);
  for (let i = 0; i < n; i++) out[i] = bytes === 2 ? view.getUint16(2 * i, true) : view.getUint32(4 * i, true);
  return out;
};

/** Return the address of a page. */
dn.address = (...parts) => "#/" + parts.map(encodeURIComponent).join("/");

/** Return a link within the site. */
dn.link = (parts, ...children) => dn.el("a", { href: dn.address(...parts) }, ...children);

/** Say something to screen readers. */
dn.say = (text) => {
  document.getElementById("live").textContent = text;
};

/** Save a table as a file: rows of values, quoted where they have to be. */
dn.download = (name, header, rows) => {
  // a text that a spreadsheet would take for a formula gets an apostrophe in front of it
  const cell = (v) => {
    if (v === null || v === undefined) return "NA";
    if (typeof v === "number") return String(v);
    const text = /^[=+\-@\t\r]/.test(v) ? "'" + v : String(v);
    return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  };
  const text = [header, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  const link = dn.el("a", {
    href: URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" })),
    download: name,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};

/** Return a part of a page with its heading; `from` names the published files that its numbers are from. */
dn.section = (title, { from, note, id } = {}, ...children) => {
  const heading = dn.el("h2", { id: id || title.toLowerCase().replace(/[^a-z0-9]+/g, "-") }, title);
  return dn.el(
    "section",
    { class: "card", "aria-labelledby": heading.id },
    dn.el(
      "div",
      { class: "head" },
      heading,
      from &&
        dn.el(
          "p",
          { class: "from" },
          "from ",
          from.map((f, i) => [i ? ", " : "", dn.el("code", {}, f)]),
        ),
    ),
    note && dn.el("p", { class: "note" }, note),
    ...children,
  );
};

/** Return a tile: a number that matters, what it is, and what it says. */
dn.tile = (label, value, detail) =>
  dn.el(
    "div",
    { class: "tile" },
    dn.el("div", { class: "label" }, label),
    dn.el("div", { class: "value" }, value),
    detail && dn.el("div", { class: "detail" }, detail),
  );

/** Return the row of a study, or undefined: only what the index lists is ever loaded. */
dn.study = (cohort, study) => dn.index.studies.find((s) => s.cohort === cohort && s.study === study);

/** Show the page of the address. */
dn.route = async () => {
  const main = document.getElementById("main");
  let parts = [];
  try {
    parts = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    /* a damaged address is the index */
  }
  const page = dn.pages[parts[0] || "index"];
  dn.current = location.hash;
  const here = dn.current;
  let content;
  try {
    if (!page) throw new Error(`there is no page '${parts[0]}'`);
    if (parts.length > 1) main.setAttribute("aria-busy", "true");
    content = await page(...parts.slice(1));
  } catch (error) {
    content = {
      title: "Not found",
      body: [
        dn.el("h1", {}, "This page cannot be shown"),
        dn.el("p", {}, String(error.message || error)),
        dn.el("p", {}, dn.link([], "All studies")),
      ],
    };
  }
  // another page was asked for meanwhile
  if (here !== dn.current) return;
  main.removeAttribute("aria-busy");
  dn.tooltip?.hide();
  main.replaceChildren(...content.body);
  document.title = `${content.title} · deepnull-gwas`;
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.dataset.page === (content.nav || parts[0] || "index")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  window.scrollTo(0, 0);
  if (dn.started) main.focus({ preventScroll: true });
  dn.started = true;
};
