/* Calibration of a study: QQ plots and inflation by allele frequency. */
"use strict";

dn.frequencyName = (least) =>
  least === null
    ? "all variants"
    : { 0.05: "MAF ≥ 5 %", 0.01: "MAF 1–5 %", 0.001: "MAF 0.1–1 %", 0: "MAF < 0.1 %" }[least];
dn.frequencyColours = { 0.05: "#2d4b8a", 0.01: "#1f8f8a", 0.001: "#7fb23a", 0: "#c9a20c" };

dn.qqPlot = (classes, arm, top) => {
  const all = classes[0],
    expected = (rank, n) => -Math.log10(rank / (n + 1)),
    right = expected(1, Math.max(1, all.n)) * 1.02;
  return dn.canvas(
    `QQ plot, ${dn.names[arm]}: observed against expected −log10(p) of ${dn.count(all.n)} variants, λ ${dn.fixed(all.lambda[0], 3)}`,
    (w) => Math.min(420, w * 0.82),
    (context, width, height) => {
      const f = { left: 52, right: 12, top: 10, bottom: 38 },
        w = width - f.left - f.right,
        h = height - f.top - f.bottom;
      const sx = (v) => f.left + (v / right) * w,
        sy = (v) => f.top + h - (v / top) * h;
      for (const t of dn.ticks(0, top, 5)) {
        dn.line(context, f.left, sy(t), width - f.right, sy(t), dn.colours.grid);
        dn.text(context, String(t), f.left - 7, sy(t), { align: "right", size: 11, colour: dn.colours.faint });
      }
      for (const t of dn.ticks(0, right, 5))
        dn.text(context, String(t), sx(t), f.top + h + 14, { align: "center", size: 11, colour: dn.colours.faint });
      if (all.band) {
        context.fillStyle = "#e6e4de";
        context.beginPath();
        all.band.ranks.forEach((r, i) => context.lineTo(sx(expected(r, all.n)), sy(all.band.high[i])));
        for (let i = all.band.ranks.length - 1; i >= 0; i--)
          context.lineTo(sx(expected(all.band.ranks[i], all.n)), sy(all.band.low[i]));
        context.fill();
      }
      dn.line(context, sx(0), sy(0), sx(Math.min(right, top)), sy(Math.min(right, top)), dn.colours.line);
      for (const one of classes) {
        const colour = one.least === null ? dn.colours[arm] : dn.frequencyColours[one.least];
        one.ranks.forEach((r, i) =>
          dn.dot(context, sx(expected(r, one.n)), sy(one.observed[i]), one.least === null ? 2.4 : 1.7, colour),
        );
      }
      dn.line(context, f.left, f.top + h, width - f.right, f.top + h, dn.colours.line);
      dn.text(context, "expected −log₁₀(p)", f.left + w / 2, height - 8, {
        align: "center",
        size: 12,
        colour: dn.colours.faint,
      });
      dn.text(context, "observed −log₁₀(p)", 11, f.top + h / 2, {
        align: "center",
        size: 12,
        turn: -Math.PI / 2,
        colour: dn.colours.faint,
      });
    },
  );
};

dn.qqSection = (page) => {
  const arms = Object.keys(page.qq).sort();
  if (!arms.some((a) => page.qq[a][0].n)) return null;
  const top = Math.max(...arms.map((a) => page.qq[a][0].observed[0] || 0), 2) * 1.05;
  const rows = page.qq[arms[0]].map((c) => ({
    least: c.least,
    n: c.n,
    by: Object.fromEntries(arms.map((a) => [a, page.qq[a].find((o) => o.least === c.least)])),
  }));
  // as published where it is: the whole, at the median
  const at = (r, a, i) => (r.least === null && i === 0 ? page.arms[a].lambda_gc : r.by[a]?.lambda[i]);
  const columns = [
    { key: "class", label: "Variants", cell: (r) => dn.el("span", { class: "key" }, dn.frequencyName(r.least)) },
    { key: "n", label: "Number", number: true, cell: (r) => dn.count(r.n) },
    ...arms.flatMap((a) =>
      ["λ", "λ 1 %", "λ 0.1 %"].map((label, i) => ({
        key: `${a}${i}`,
        label: `${label} ${dn.names[a]}`,
        number: true,
        cell: (r) => dn.fixed(at(r, a, i), 3),
      })),
    ),
  ];
  const present = new Set(rows.map((r) => r.least).filter((l) => l !== null));
  return dn.section(
    "Calibration",
    {
      from: arms.map((a) => `${a}/sumstats.tsv.gz`),
      id: "qq",
      note: "λ compares a quantile of the test statistics with the one expected where nothing is associated: at the median, and in the tail of 1 % and 0.1 % smallest p-values. Polygenic traits lift it without any bias.",
    },
    dn.el(
      "div",
      { class: arms.length === 2 ? "two" : "" },
      arms.map((a) =>
        dn.el(
          "div",
          {},
          dn.el(
            "h3",
            {},
            `${dn.names[a][0].toUpperCase()}${dn.names[a].slice(1)}, λ = ${dn.fixed(page.arms[a].lambda_gc, 3)}, ${dn.people(page.about)}`,
          ),
          dn.qqPlot(page.qq[a], a, top),
        ),
      ),
    ),
    dn.el(
      "div",
      { class: "keys" },
      arms.map((a) => dn.el("span", {}, dn.el("i", { style: `background:${dn.colours[a]}` }), `all, ${dn.names[a]}`)),
      [...present].map((l) =>
        dn.el("span", {}, dn.el("i", { style: `background:${dn.frequencyColours[l]}` }), dn.frequencyName(l)),
      ),
      dn.el("span", {}, dn.el("i", { style: "background:#e6e4de;border-radius:2px" }), "95 % of the null"),
    ),
    dn.el("h3", {}, "Inflation by allele frequency"),
    dn.table(columns, { caption: "Inflation by allele frequency", rows }),
  );
};
