/* What is drawn along the genome. `plot` has the layout, the loci, what part is in view, and the frame. */
"use strict";

dn.along = {};

/** Return the scales of a plot: one arm goes up from `zero`, the other down from `below`. */
dn.along.geometry = (plot, width, height) => {
  const { frame, view, up, down, top } = plot;
  const w = width - frame.left - frame.right,
    h = (height - frame.band - frame.middle - frame.bottom) / (down ? 2 : 1);
  const zero = frame.band + h,
    below = zero + frame.middle;
  return {
    w,
    h,
    zero,
    sx: (v) => frame.left + ((v - view.from) / (view.to - view.from)) * w,
    sy: (v, arm) => (arm === up ? zero - (v / top) * h : below + (v / top) * h),
  };
};

/** Draw all of it. */
dn.along.draw = (context, plot, width, height) => {
  const { layout, frame, view, line, top } = plot,
    g = (plot.shape = dn.along.geometry(plot, width, height)),
    { sx, sy } = g;
  for (const arm of layout.arms) {
    for (const t of dn.ticks(0, top, g.h > 150 ? 5 : 3)) {
      dn.line(context, frame.left, sy(t, arm), width - frame.right, sy(t, arm), dn.colours.grid);
      dn.text(context, String(t), frame.left - 7, sy(t, arm), { align: "right", size: 11, colour: dn.colours.faint });
    }
  }
  context.save();
  context.beginPath();
  context.rect(frame.left, 0, g.w, height);
  context.clip();
  for (const arm of layout.arms) dn.along.background(context, plot, g, arm);
  for (const arm of layout.arms) dn.along.points(context, plot, g, arm);
  for (const arm of layout.arms)
    dn.line(context, frame.left, sy(line, arm), width - frame.right, sy(line, arm), dn.colours.threshold, 1, [5, 4]);
  dn.along.loci(context, plot, g);
  if (view.drag) {
    context.fillStyle = "rgba(31,90,138,.13)";
    context.fillRect(
      Math.min(view.drag[0], view.drag[1]),
      frame.band,
      Math.abs(view.drag[1] - view.drag[0]),
      height - frame.band - frame.bottom,
    );
  }
  dn.along.chromosomes(context, plot, g);
  context.restore();
  dn.along.labels(context, plot, g, width);
  for (const arm of layout.arms) {
    dn.line(context, frame.left, sy(0, arm), width - frame.right, sy(0, arm), dn.colours.line);
    dn.text(context, `${dn.names[arm]}  −log₁₀(p)`, 11, sy(top / 2, arm), {
      align: "center",
      size: 12,
      turn: -Math.PI / 2,
      colour: dn.colours.alternate[arm][0],
      weight: "600",
    });
  }
};

/**
 * Draw the cells that hold variants which are no points of their own. Cells that share a column of the screen are drawn
 * as one, and cells above one another as one stretch: there may be a million of them.
 */
dn.along.background = (context, { layout, view, up, top }, g, arm) => {
  const bits = layout.background[arm];
  if (!bits) return;
  const step = layout.height[arm],
    levels = layout.levels,
    w = Math.max(1.6, g.sx(layout.cell) - g.sx(0)),
    filled = new Uint8Array(levels);
  const flush = (x) => {
    for (let k = 0; k < levels; k++) {
      if (!filled[k]) continue;
      const first = k;
      while (k < levels && filled[k]) k++;
      const [low, high] = [g.sy(first * step, arm), g.sy(k * step, arm)];
      context.fillRect(x, Math.min(low, high), w, Math.max(1.6, Math.abs(high - low)));
    }
    filled.fill(0);
  };
  for (const c of layout.chromosomes) {
    context.fillStyle = dn.colours.alternate[arm][c.parity];
    const cells = Math.floor((c.end - c.start) / layout.cell) + 1;
    const first = Math.max(0, Math.floor((view.from - c.from) / layout.cell)),
      last = Math.min(cells, Math.ceil((view.to - c.from) / layout.cell) + 1);
    let column = null;
    for (let i = first; i < last; i++) {
      const x = Math.floor(g.sx(c.from + i * layout.cell));
      if (x !== column && column !== null) flush(column);
      column = x;
      const base = (c.cell + i) * levels;
      for (let k = 0; k < levels; k++) if (bits[(base + k) >> 3] & (128 >> ((base + k) & 7))) filled[k] = 1;
    }
    if (column !== null) flush(column);
  }
};

/** Return a dot to be copied: many times as fast as a circle each. */
dn.sprite = (colour, r) => {
  const ratio = window.devicePixelRatio || 1,
    key = `${colour} ${r} ${ratio}`;
  dn.sprites ??= new Map();
  if (!dn.sprites.has(key)) {
    const size = 2 * Math.ceil(r) + 2,
      canvas = document.createElement("canvas");
    canvas.width = canvas.height = size * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    dn.dot(context, size / 2, size / 2, r, colour);
    dn.sprites.set(key, { canvas, size });
  }
  return dn.sprites.get(key);
};

/** Draw the variants one by one, the strongest last. */
dn.along.points = (context, { layout, view, line }, g, arm) => {
  const p = layout.p[arm],
    zoomed = layout.end / (view.to - view.from),
    r = zoomed > 8 ? 2.2 : 1.5;
  const sprites = dn.colours.alternate[arm].map((colour) => [dn.sprite(colour, r), dn.sprite(colour, r + 0.7)]);
  const columns = Math.ceil(g.sx(view.to)) + 1,
    drawn = new Uint8Array(columns * Math.ceil(g.zero + 2 * g.h + 100));
  for (let i = layout.size - 1; i >= 0; i--) {
    if (Number.isNaN(p[i]) || layout.x[i] < view.from || layout.x[i] > view.to) continue;
    const x = g.sx(layout.x[i]),
      y = g.sy(p[i], arm),
      pixel = Math.floor(x) + columns * Math.floor(y);
    // one dot for each pixel of the screen: any other would lie under it
    if (drawn[pixel]) continue;
    drawn[pixel] = 1;
    const { canvas, size } = sprites[layout.parity[i]][p[i] >= line ? 1 : 0];
    context.drawImage(canvas, x - size / 2, y - size / 2, size, size);
  }
};

/** Ring the loci that were gained or lost, and the one that the keys are at. */
dn.along.loci = (context, { layout, view, loci, up, down }, g) => {
  for (const l of loci) {
    if (l.x < view.from || l.x > view.to) continue;
    for (const arm of layout.arms) {
      if (!dn.isNumber(l.p[arm])) continue;
      const here = l.index === view.locus,
        mark = l.verdict === "gained" ? arm === up : l.verdict === "lost" ? arm === down : false;
      context.lineWidth = here ? 2.5 : 2;
      if (mark || here)
        dn.dot(context, g.sx(l.x), g.sy(l.p[arm], arm), here ? 7 : 5, null, here ? "#1f5a8a" : dn.colours[l.verdict]);
    }
  }
};

/** Name the chromosomes; within one, the positions. */
dn.along.chromosomes = (context, { layout, view, frame, down }, g) => {
  const y = down ? g.zero + frame.middle / 2 : g.zero + 13;
  let last = -Infinity;
  const one = layout.chromosomes.filter((c) => c.from + c.length > view.from && c.from < view.to);
  if (one.length === 1) {
    // within a chromosome: positions
    const c = one[0];
    for (const t of dn.ticks(
      (view.from - c.from + c.start) / 1e6,
      (view.to - c.from + c.start) / 1e6,
      Math.max(2, Math.floor(g.w / 110)),
    )) {
      dn.text(context, `${t}`, g.sx(c.from + t * 1e6 - c.start), y, {
        align: "center",
        size: 11,
        colour: dn.colours.faint,
      });
    }
    dn.text(context, `chr ${c.name}, Mb`, frame.left + 3, y, { size: 11, weight: "600" });
    return;
  }
  for (const c of one) {
    const from = Math.max(g.sx(c.from), frame.left),
      to = Math.min(g.sx(c.from + c.length), frame.left + g.w),
      at = (from + to) / 2;
    if (at - last < 15) continue;
    dn.text(context, c.name, at, y, { align: "center", size: 11, colour: dn.colours.faint });
    last = at;
  }
};

/** Move ascending places apart until neighbours are a step apart, within two ends. */
dn.spread = (at, step, low, high) => {
  for (let k = 0; k < 200; k++) {
    let moved = false;
    for (let i = 1; i < at.length; i++) {
      const lack = step - (at[i] - at[i - 1]);
      if (lack > 0.01) {
        at[i - 1] -= lack / 2;
        at[i] += lack / 2;
        moved = true;
      }
    }
    at[0] = Math.max(at[0], low);
    at[at.length - 1] = Math.min(at[at.length - 1], high);
    for (let i = 1; i < at.length; i++) at[i] = Math.max(at[i], low + i * step);
    for (let i = at.length - 2; i >= 0; i--) at[i] = Math.min(at[i], high - (at.length - 1 - i) * step);
    if (!moved) break;
  }
};

/** Name the strongest loci in view, as many as have room side by side. */
dn.along.labels = (context, { page, view, frame, loci, up }, g, width) => {
  const room = Math.floor(g.w / 15),
    strength = (l) => Math.max(...Object.values(l.p).map((v) => v ?? 0));
  const shown = loci
    .filter((l) => l.x >= view.from && l.x <= view.to)
    .sort((a, b) => strength(b) - strength(a))
    .slice(0, Math.min(room, Math.max(page.settings.top_loci_labelled, 25)))
    .sort((a, b) => a.x - b.x);
  if (!shown.length) return;
  const at = shown.map((l) => g.sx(l.x)),
    low = frame.left + 7,
    high = width - frame.right - 4,
    step = Math.min(14, (high - low) / shown.length);
  dn.spread(at, step, low, high);
  shown.forEach((l, i) => {
    const colour = l.verdict === "gained" ? "#00714f" : l.verdict === "lost" ? "#96407a" : dn.colours.text,
      y = g.sy(l.p[up] ?? 0, up);
    dn.text(context, dn.short(l.label, 12), at[i], frame.band - 12, {
      size: 11,
      turn: -Math.PI / 2,
      colour,
      weight: l.index === view.locus ? "700" : "",
    });
    context.globalAlpha = 0.55;
    dn.line(context, at[i], frame.band - 9, at[i], frame.band - 5, dn.colours.line, 0.8);
    dn.line(context, at[i], frame.band - 5, g.sx(l.x), frame.band + 4, dn.colours.line, 0.8);
    if (y - 4 > frame.band + 4)
      dn.line(context, g.sx(l.x), frame.band + 4, g.sx(l.x), y - 4, dn.colours.line, 0.8, [1, 3]);
    context.globalAlpha = 1;
  });
};
