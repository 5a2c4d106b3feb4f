/* The page of a locus: p-values of both arms, r2 to a reference variant, genes. */
"use strict";

dn.r2Bins = [
  [0.8, "#d7301f", "0.8–1"],
  [0.6, "#ef8a2c", "0.6–0.8"],
  [0.4, "#4aa84e", "0.4–0.6"],
  [0.2, "#59b4d9", "0.2–0.4"],
  [0, "#2c3e7b", "below 0.2"],
];
dn.r2Colour = (v) => (v === null ? "#b9b7b0" : dn.r2Bins.find(([least]) => v >= least)[1]);

/** Put genes into rows so that neither they nor their names lie over one another; names stay within left and right. */
dn.geneRows = (genes, sx, measure, left, right) => {
  const rows = [];
  return genes.map((g) => {
    const symbol = dn.short(g.symbol, 20),
      name = g.strand === "-" || g.strand === "−" ? `← ${symbol}` : g.strand === "+" ? `${symbol} →` : symbol;
    const from = sx(g.start),
      to = sx(g.end),
      half = measure(name) / 2,
      middle = Math.max(left + half, Math.min(right - half, (from + to) / 2));
    let row = rows.findIndex((end) => end + 7 < Math.min(from, middle - half));
    if (row < 0) row = rows.push(0) - 1;
    rows[row] = Math.max(to, middle + half);
    return { ...g, name, middle, from, to, row };
  });
};

dn.regionalPlot = (locus, about, onreference) => {
  const arms = ["deepnull", "baseline"].filter((a) => locus.arms[a]),
    n = locus.position.length;
  const r2 = dn.numbers(locus.r2, 2),
    state = { reference: 0 };
  const from = locus.start,
    to = Math.max(locus.stop, from + 1),
    line = -Math.log10(about.genome_wide);
  const value = (i) => {
    const v = r2[state.reference * n + i];
    return v === 65535 ? null : v / 1000;
  };
  const p = Object.fromEntries(arms.map((a) => [a, locus.arms[a].neg_log_10_p]));
  const largest = (a) => p[a].reduce((m, v) => (v !== null && v > m ? v : m), 0);
  const top = Math.max(line * 1.15, ...arms.map(largest)) * 1.1,
    genes = [...locus.genes].sort((a, b) => a.start - b.start || a.end - b.end);
  const frame = { left: 46, right: 12, gap: 26, bottom: 50, top: 20 };
  const probe = document.createElement("canvas").getContext("2d");
  probe.font = dn.font(11);
  const lay = (width) => {
    const w = width - frame.left - frame.right;
    return dn.geneRows(
      genes,
      (v) => frame.left + ((Math.max(from, Math.min(to, v)) - from) / (to - from)) * w,
      (s) => probe.measureText(s).width,
      frame.left,
      width - frame.right,
    );
  };
  const panel = (width) => (width < 600 ? 170 : 215),
    ROW = 25;
  const track = (width) => (genes.length ? Math.min(12, Math.max(...lay(width).map((g) => g.row)) + 1) * ROW + 14 : 0);
  let shape = null;
  const draw = (context, width, height) => {
    const w = width - frame.left - frame.right,
      h = panel(width),
      sx = (v) => frame.left + ((v - from) / (to - from)) * w;
    const base = (a) => frame.top + (arms.indexOf(a) + 1) * h + arms.indexOf(a) * frame.gap,
      sy = (v, a) => base(a) - (v / top) * h;
    shape = { sx, sy };
    for (const a of arms) {
      for (const t of dn.ticks(0, top, 4)) {
        dn.line(context, frame.left, sy(t, a), width - frame.right, sy(t, a), dn.colours.grid);
        dn.text(context, String(t), frame.left - 7, sy(t, a), { align: "right", size: 11, colour: dn.colours.faint });
      }
      dn.line(context, frame.left, sy(line, a), width - frame.right, sy(line, a), dn.colours.threshold, 1, [5, 4]);
      dn.line(context, frame.left, base(a), width - frame.right, base(a), dn.colours.line);
      dn.text(context, `${dn.names[a]}  −log₁₀(p)`, 11, base(a) - h / 2, {
        align: "center",
        size: 12,
        turn: -Math.PI / 2,
        colour: dn.colours.alternate[a][0],
        weight: "600",
      });
      const order = Array.from({ length: n }, (_, i) => i)
        .filter((i) => p[a][i] !== null)
        .sort((x, y) => (value(x) ?? -1) - (value(y) ?? -1));
      for (const i of order) {
        context.lineWidth = 0.6;
        dn.dot(context, sx(locus.position[i]), sy(p[a][i], a), 3.4, dn.r2Colour(value(i)), "rgba(0,0,0,.45)");
      }
      const reference = locus.references[state.reference];
      if (p[a][reference] !== null) {
        const x = sx(locus.position[reference]),
          y = sy(p[a][reference], a);
        context.fillStyle = "#6a2c91";
        context.strokeStyle = "#fff";
        context.lineWidth = 1.2;
        context.beginPath();
        context.moveTo(x, y - 7);
        context.lineTo(x + 6, y);
        context.lineTo(x, y + 7);
        context.lineTo(x - 6, y);
        context.closePath();
        context.fill();
        context.stroke();
        const right = x > frame.left + w * 0.7;
        dn.text(context, dn.short(locus.id[reference], 30), x + (right ? -11 : 11), y - 5, {
          size: 11.5,
          weight: "600",
          align: right ? "right" : "left",
        });
      }
    }
    const first = frame.top + arms.length * h + (arms.length - 1) * frame.gap + 16;
    for (const g of lay(width)) {
      if (g.row > 11) continue;
      const y = first + g.row * ROW + 16,
        coding = g.biotype === "protein_coding",
        colour = coding ? "#34495e" : "#8b94a0";
      dn.line(context, g.from, y, Math.max(g.to, g.from + 2), y, colour, 4);
      dn.text(context, g.name, g.middle, y - 9, {
        align: "center",
        size: 11,
        colour: coding ? dn.colours.text : dn.colours.faint,
      });
    }
    const foot = height - frame.bottom;
    dn.line(context, frame.left, foot, width - frame.right, foot, dn.colours.line);
    for (const t of dn.ticks(from / 1e6, to / 1e6, Math.max(2, Math.floor(w / 110)))) {
      dn.line(context, sx(t * 1e6), foot, sx(t * 1e6), foot + 4, dn.colours.line);
      dn.text(context, String(t), sx(t * 1e6), foot + 12, { align: "center", size: 11, colour: dn.colours.faint });
    }
    dn.text(
      context,
      `chromosome ${dn.chromosome(locus.chromosome)}, Mb (${about.build})`,
      frame.left + w / 2,
      height - 4,
      { align: "center", base: "bottom", size: 11.5, colour: dn.colours.faint },
    );
  };
  const box = dn.canvas(
    `Regional plot of ${dn.place(locus.chromosome, locus.position[locus.lead])}, ${dn.count(n)} variants, ${arms.map((a) => `${dn.names[a]} up to p ${dn.p(largest(a))}`).join(", ")}; ${dn.plural(genes.length, "gene")}. The strongest variants are in the table below.`,
    (width) =>
      frame.top + arms.length * panel(width) + (arms.length - 1) * frame.gap + 12 + track(width) + frame.bottom + 8,
    draw,
    { tabindex: "0" },
  );
  const nearest = (event) => {
    const r = box.canvas.getBoundingClientRect(),
      mx = event.clientX - r.left,
      my = event.clientY - r.top;
    let best = -1,
      least = 120;
    for (const a of arms)
      for (let i = 0; i < n; i++) {
        if (p[a][i] === null) continue;
        const d = (shape.sx(locus.position[i]) - mx) ** 2 + (shape.sy(p[a][i], a) - my) ** 2;
        if (d < least) {
          least = d;
          best = i;
        }
      }
    return best;
  };
  box.setReference = (i) => {
    const at = locus.references.indexOf(i);
    if (at < 0) {
      dn.say("r² to this variant is not stored");
      return false;
    }
    state.reference = at;
    box.redraw();
    return true;
  };
  box.r2 = value;
  box.canvas.addEventListener("pointermove", (event) => {
    const i = nearest(event);
    if (i < 0) {
      dn.tooltip.hide();
      box.canvas.style.cursor = "crosshair";
      return;
    }
    const stored = locus.references.includes(i),
      v = value(i);
    box.canvas.style.cursor = stored ? "pointer" : "crosshair";
    dn.tooltip.show(
      [
        dn.short(locus.id[i], 46),
        `${dn.place(locus.chromosome, locus.position[i])}, ${dn.short(locus.effect_allele[i], 12)} against ${dn.short(locus.other_allele[i], 12)}, frequency ${dn.digits(locus.frequency[i])}, n = ${dn.count(locus.n[i])}`,
        ...arms.map((a) =>
          p[a][i] === null
            ? `${dn.names[a]}: not tested`
            : `${dn.names[a]}: p = ${dn.p(p[a][i])}, β = ${dn.effect(locus.arms[a].beta[i])} (SE ${dn.effect(locus.arms[a].se[i])})`,
        ),
        `r² = ${v === null ? "not known" : dn.fixed(v, 3)} to ${dn.short(locus.id[locus.references[state.reference]], 30)}`,
        stored ? "press to make it the reference" : "",
      ].filter(Boolean),
      event.clientX,
      event.clientY,
    );
  });
  box.canvas.addEventListener("pointerleave", () => dn.tooltip.hide());
  box.canvas.addEventListener("click", (event) => {
    const i = nearest(event);
    if (i >= 0) onreference(i);
  });
  return box;
};

dn.locusTable = (locus, plot, onreference) => {
  const arms = ["baseline", "deepnull"].filter((a) => locus.arms[a]),
    n = locus.position.length,
    stored = new Set(locus.references);
  const strength = (i) => Math.max(...arms.map((a) => locus.arms[a].neg_log_10_p[i] ?? 0));
  const rows = Array.from({ length: n }, (_, i) => i).sort((a, b) => strength(b) - strength(a) || a - b);
  const columns = [
    {
      key: "id",
      label: "Variant",
      value: (i) => locus.id[i],
      cell: (i) =>
        dn.el(
          "div",
          { class: "name" },
          dn.named(locus.id[i], 30),
          dn.el("small", {}, `${dn.short(locus.effect_allele[i], 12)} against ${dn.short(locus.other_allele[i], 12)}`),
        ),
    },
    {
      key: "position",
      label: "Position",
      number: true,
      value: (i) => locus.position[i],
      cell: (i) => dn.count(locus.position[i]),
    },
    {
      key: "frequency",
      label: "Frequency",
      number: true,
      title: "Of the effect allele among the study's people",
      value: (i) => locus.frequency[i],
      cell: (i) => dn.digits(locus.frequency[i]),
    },
    {
      key: "r2",
      label: "r²",
      number: true,
      title: "To the reference variant, from the study's own people",
      value: (i) => plot.r2(i),
      cell: (i) => dn.fixed(plot.r2(i), 3),
    },
    ...arms.flatMap((a) => [
      {
        key: `beta_${a}`,
        label: `β ${dn.names[a]}`,
        number: true,
        value: (i) => locus.arms[a].beta[i],
        cell: (i) =>
          dn.el(
            "span",
            {},
            dn.effect(locus.arms[a].beta[i]),
            dn.el("small", {}, `SE ${dn.effect(locus.arms[a].se[i])}`),
          ),
      },
      {
        key: `p_${a}`,
        label: `p ${dn.names[a]}`,
        number: true,
        value: (i) => locus.arms[a].neg_log_10_p[i],
        cell: (i) => dn.p(locus.arms[a].neg_log_10_p[i]),
      },
    ]),
    {
      key: "use",
      label: "Reference",
      cell: (i) =>
        stored.has(i)
          ? dn.el(
              "button",
              {
                type: "button",
                "aria-label": `Make ${dn.short(locus.id[i], 40)} the reference of r²`,
                onclick: () => onreference(i),
              },
              "use",
            )
          : "",
    },
  ];
  return dn.table(columns, {
    caption: "Variants of the region",
    rows,
    most: window.innerWidth < 760 ? 5 : 15,
    empty: "no variant",
  });
};

dn.pages.locus = async (cohort, study, name) => {
  const row = dn.study(cohort, study),
    at = row ? row.regions.findIndex((r) => r.name === name) : -1;
  if (at < 0) throw new Error(`the run has no region '${name}' of study '${study}'`);
  const locus = await dn.load(`locus/${cohort}/${study}/${name}`, `data/${cohort}/${study}/${name}.js`);
  const code = row.regions[at].code,
    page = { ...locus, chromosome: code },
    lead = locus.lead,
    arms = ["baseline", "deepnull"].filter((a) => locus.arms[a]);
  const order = row.regions
      .map((r, i) => [r.code, r.position, i])
      .sort((a, b) => a[0] - b[0] || a[1] - b[1])
      .map((t) => row.regions[t[2]]),
    here = order.findIndex((r) => r.name === name);
  const reference = dn.el("strong", {}, dn.named(locus.id[locus.references[0]] ?? "", 40));
  const choose = (i) => {
    if (plot.setReference(i)) {
      reference.replaceChildren(dn.named(locus.id[i], 40));
      table.show(table.rows);
      dn.say(`r² is to ${locus.id[i]}`);
    }
  };
  const plot = dn.regionalPlot(
    page,
    { genome_wide: row.genome_wide, build: row.genome_build || "positions of the input" },
    choose,
  );
  const table = dn.locusTable(page, plot, choose);
  table.rows = Array.from({ length: locus.position.length }, (_, i) => i).sort(
    (a, b) =>
      Math.max(...arms.map((x) => locus.arms[x].neg_log_10_p[b] ?? 0)) -
        Math.max(...arms.map((x) => locus.arms[x].neg_log_10_p[a] ?? 0)) || a - b,
  );
  const near = locus.genes
    .filter((g) => g.start <= locus.position[lead] && g.end >= locus.position[lead])
    .map((g) => g.symbol);
  const header = [
    "chromosome",
    "base_pair_location",
    "id",
    "effect_allele",
    "other_allele",
    "effect_allele_frequency",
    "n",
    ...arms.flatMap((a) => [`beta_${a}`, `standard_error_${a}`, `neg_log_10_p_value_${a}`]),
    "r2_to_reference",
  ];
  const save = () =>
    dn.download(
      `${cohort}_${study}_${name}.csv`,
      header,
      locus.position.map((_, i) => [
        dn.chromosome(code),
        locus.position[i],
        locus.id[i],
        locus.effect_allele[i],
        locus.other_allele[i],
        locus.frequency[i],
        locus.n[i],
        ...arms.flatMap((a) => [locus.arms[a].beta[i], locus.arms[a].se[i], locus.arms[a].neg_log_10_p[i]]),
        plot.r2(i),
      ]),
    );
  return {
    title: `${study}, ${dn.place(code, locus.position[lead])}`,
    nav: "index",
    body: [
      dn.el(
        "p",
        { class: "crumbs" },
        dn.link([], "Studies"),
        " / ",
        dn.link(["study", cohort, study], dn.short(study, 50)),
      ),
      dn.el("h1", {}, near.length ? `${dn.short(near.join(", "), 60)}: ` : "", dn.place(code, locus.position[lead])),
      dn.el(
        "p",
        { class: "facts" },
        `Lead variant ${dn.short(locus.id[lead], 60)}, ${dn.short(locus.effect_allele[lead], 20)} against ${dn.short(locus.other_allele[lead], 20)}, frequency ${dn.digits(locus.frequency[lead])}, n = ${dn.count(locus.n[lead])}`,
      ),
      dn.el(
        "div",
        { class: "tiles" },
        dn.tile(
          "Verdict",
          dn.verdict(locus.verdict),
          {
            shared: "found by both arms",
            gained: "found by DeepNull only",
            lost: "found by the baseline only",
            single: "one arm was run",
          }[locus.verdict],
        ),
        ...arms.map((a) =>
          dn.tile(
            `p, ${dn.names[a]}`,
            dn.p(locus.arms[a].neg_log_10_p[lead]),
            `β = ${dn.effect(locus.arms[a].beta[lead])} (SE ${dn.effect(locus.arms[a].se[lead])})`,
          ),
        ),
        arms.length === 2 && dn.isNumber(locus.arms.baseline.se[lead]) && dn.isNumber(locus.arms.deepnull.se[lead])
          ? dn.tile(
              "Standard error",
              dn.signed(
                locus.arms.deepnull.se[lead] / locus.arms.baseline.se[lead] - 1,
                dn.percent(locus.arms.deepnull.se[lead] / locus.arms.baseline.se[lead] - 1),
              ),
              "DeepNull against baseline",
            )
          : null,
      ),
      dn.section(
        "The region",
        {
          from: ["regions.json.gz"],
          id: "region",
          note: `± ${dn.count(locus.window_kb)} kb around the lead variant. r² is from the study's own people; press another of the strongest variants to measure it from there.`,
        },
        dn.el(
          "div",
          { class: "tools" },
          dn.el("span", {}, "r² to ", reference),
          dn.el("span", { class: "found" }, `region ${here + 1} of ${order.length}`),
          here > 0 &&
            dn.el(
              "a",
              { href: dn.address("locus", cohort, study, order[here - 1].name), "aria-label": "Region before" },
              "← before",
            ),
          here < order.length - 1 &&
            dn.el(
              "a",
              { href: dn.address("locus", cohort, study, order[here + 1].name), "aria-label": "Next region" },
              "next →",
            ),
        ),
        plot,
        dn.el(
          "div",
          { class: "keys" },
          dn.el(
            "span",
            {},
            dn.el("i", { style: "background:#6a2c91;border-radius:1px;transform:rotate(45deg)" }),
            "reference",
          ),
          dn.r2Bins.map(([, c, text]) => dn.el("span", {}, dn.el("i", { style: `background:${c}` }), `r² ${text}`)),
          dn.el("span", {}, dn.el("i", { style: "background:#b9b7b0" }), "not known"),
        ),
      ),
      dn.section(
        "Variants of the region",
        { from: ["regions.json.gz"], id: "variants" },
        dn.el(
          "div",
          { class: "tools" },
          dn.el("span", { class: "found" }, dn.plural(locus.position.length, "variant")),
          dn.saveButton("CSV", save),
        ),
        table,
      ),
    ],
  };
};
