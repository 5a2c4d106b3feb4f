/* Tables that sort, and on a narrow screen become cards. */
"use strict";

/**
 * Return a table.
 * columns: {key, label, title, number, value(row) -> what it is sorted by, cell(row) -> what is shown, wide}
 * options: caption, rows, sort: [key, descending], most: rows shown at first, empty: text where there are none
 */
dn.table = (columns, { caption, rows, sort, most = 100, empty = "none" }) => {
  const state = { rows, sort, all: false };
  const body = dn.el("tbody"),
    more = dn.el("button", {
      type: "button",
      class: "more",
      onclick: () => {
        state.all = true;
        draw();
      },
    });
  const heads = columns.map((c) => {
    const button = dn.el("button", { type: "button", onclick: () => order(c) }, c.label);
    return dn.el("th", { scope: "col", class: c.number ? "number" : null, title: c.title }, c.value ? button : c.label);
  });
  const select = dn.el(
    "select",
    {
      "aria-label": "Sort by",
      onchange: () => {
        const [i, d] = select.value.split(":");
        order(columns[i], d === "1");
      },
    },
    columns.flatMap((c, i) =>
      c.value ? [0, 1].map((d) => dn.el("option", { value: `${i}:${d}` }, `${c.label} ${d ? "↓" : "↑"}`)) : [],
    ),
  );
  const compare = (a, b) => {
    if (a === null || a === undefined || Number.isNaN(a))
      return b === null || b === undefined || Number.isNaN(b) ? 0 : 1;
    if (b === null || b === undefined || Number.isNaN(b)) return -1;
    const order =
      typeof a === "number" && typeof b === "number"
        ? a - b
        : String(a).localeCompare(String(b), "en", { numeric: true });
    return state.sort[1] ? -order : order;
  };
  const order = (column, descending) => {
    const same = state.sort && state.sort[0] === column.key;
    // numbers start with the largest
    state.sort = [column.key, descending ?? (same ? !state.sort[1] : Boolean(column.number))];
    draw();
    dn.say(`sorted by ${column.label}, ${state.sort[1] ? "descending" : "ascending"}`);
  };
  const draw = () => {
    let shown = [...state.rows];
    if (state.sort) {
      const column = columns.find((c) => c.key === state.sort[0]);
      shown = shown
        .map((row, i) => [column.value(row), i, row])
        .sort((a, b) => compare(a[0], b[0]) || a[1] - b[1])
        .map((t) => t[2]);
      columns.forEach((c, i) =>
        heads[i].setAttribute("aria-sort", c.key !== column.key ? "none" : state.sort[1] ? "descending" : "ascending"),
      );
      select.value = `${columns.indexOf(column)}:${state.sort[1] ? 1 : 0}`;
    }
    const left = state.all ? 0 : Math.max(0, shown.length - most);
    body.replaceChildren(
      ...shown.slice(0, shown.length - left).map((row) =>
        dn.el(
          "tr",
          {},
          columns.map((c, i) => {
            const content = c.cell(row);
            return dn.el(
              i === 0 ? "th" : "td",
              {
                scope: i === 0 ? "row" : null,
                class: [c.number ? "number" : "", c.wide ? "wide" : ""].join(" ").trim() || null,
                "data-label": c.label,
              },
              content,
            );
          }),
        ),
      ),
    );
    if (!shown.length) body.append(dn.el("tr", {}, dn.el("td", { colspan: columns.length, class: "empty" }, empty)));
    more.hidden = !left;
    more.textContent = `Show ${left.toLocaleString("en-GB")} more`;
  };
  const sorts = columns.some((c) => c.value);
  const element = dn.el(
    "div",
    { class: "table" },
    sorts && dn.el("div", { class: "sorter" }, "Sort by ", select),
    dn.el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      dn.el(
        "table",
        {},
        dn.el("caption", { class: "unseen" }, caption),
        dn.el("thead", {}, dn.el("tr", {}, heads)),
        body,
      ),
    ),
    more,
  );
  element.show = (some) => {
    state.rows = some;
    draw();
  };
  draw();
  return element;
};

/** Return a button that saves something. */
dn.saveButton = (text, onclick) => dn.el("button", { type: "button", class: "save", onclick }, text);
