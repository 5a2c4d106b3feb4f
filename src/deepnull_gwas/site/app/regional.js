/* The regional plot: p-values of both arms by their r2 to a reference variant, and genes. */
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
  const frame = { left: 54, right: 12, gap: 26, bottom: 50, top: 20 };
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
