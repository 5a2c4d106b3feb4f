/* The plot along the genome: one arm upwards, the other downwards; what is under the pointer; zoom. */
"use strict";

/** Lay the chromosomes side by side; return their places and the points of both arms. */
dn.layOut = (genome) => {
  const length = (c) => c.end - c.start + 1,
    total = genome.chromosomes.reduce((a, c) => a + length(c), 0);
  let at = 0;
  const chromosomes = genome.chromosomes.map((c, i) => {
    const placed = { ...c, from: at, parity: i % 2, length: length(c) };
    at += length(c) + 0.012 * total;
    return placed;
  });
  const end = Math.max(1, at - 0.012 * total),
    byCode = new Map(chromosomes.map((c) => [c.code, c]));
  const place = (code, position) => {
    const c = byCode.get(code);
    return c ? c.from + position - c.start : null;
  };
  const named = genome.named,
    points = genome.points,
    arms = Object.keys(named.arms);
  const n = named.position.length,
    packed = dn.numbers(points.position, 4),
    size = n + packed.length;
  const x = new Float64Array(size),
    parity = new Uint8Array(size),
    code = new Uint8Array(size),
    position = new Uint32Array(size);
  const spread = (perChromosome, positions, first) => {
    let i = 0;
    for (const [c, count] of perChromosome) {
      const chromosome = byCode.get(c);
      for (let k = 0; k < count; k++, i++) {
        x[first + i] = chromosome.from + positions[i] - chromosome.start;
        parity[first + i] = chromosome.parity;
        code[first + i] = c;
        position[first + i] = positions[i];
      }
    }
  };
  spread(named.per_chromosome, named.position, 0);
  spread(points.per_chromosome, packed, n);
  const p = {};
  for (const arm of arms) {
    p[arm] = new Float32Array(size).fill(NaN);
    named.arms[arm].p.forEach((v, i) => {
      p[arm][i] = v === null ? NaN : v;
    });
    dn.numbers(points.arms[arm], 2).forEach((v, i) => {
      p[arm][n + i] = v === 65535 ? NaN : v * points.scale;
    });
  }
  const background = {};
  for (const arm of Object.keys(genome.background.arms || {})) background[arm] = dn.bytes(genome.background.arms[arm]);
  return {
    chromosomes,
    end,
    place,
    arms,
    named,
    namedCount: n,
    size,
    x,
    parity,
    code,
    position,
    p,
    background,
    levels: genome.background.levels,
    height: genome.background.height,
    cell: genome.cell,
  };
};

/** Return the lines that are shown of a point. */
dn.pointLines = (layout, i, lead) => {
  const named = layout.named,
    lines = [];
  if (i < layout.namedCount) {
    lines.push(`${dn.short(named.id[i], 46)}${lead?.gene ? `  ·  ${dn.short(lead.gene, 24)}` : ""}`);
    lines.push(
      `${dn.place(layout.code[i], layout.position[i])}, ${named.effect_allele[i]} against ${named.other_allele[i]}, frequency ${dn.digits(named.frequency[i])}`,
    );
    for (const arm of layout.arms) {
      const a = named.arms[arm];
      lines.push(
        a.p[i] === null
          ? `${dn.names[arm]}: not tested`
          : `${dn.names[arm]}: p = ${dn.p(a.p[i])}, β = ${dn.effect(a.beta[i])} (SE ${dn.effect(a.se[i])})`,
      );
    }
  } else {
    lines.push(dn.place(layout.code[i], layout.position[i]));
    for (const arm of layout.arms)
      lines.push(
        `${dn.names[arm]}: −log₁₀(p) ${Number.isNaN(layout.p[arm][i]) ? "not tested" : dn.fixed(layout.p[arm][i])}`,
      );
  }
  if (lead)
    lines.push(
      `${lead.verdict === "single" ? "lead variant" : `locus ${lead.verdict}`}${lead.region ? "; press to see the region" : ""}`,
    );
  return lines;
};

/**
 * Return the plot with its buttons.
 * loci: {code, position, label, gene, verdict, p: {arm: -log10 p}, region} of lead variants; onlocus(locus) opens one.
 */
dn.miami = (page, loci, onlocus) => {
  const layout = dn.layOut(page.genome),
    up = layout.arms[0],
    down = layout.arms[1],
    line = -Math.log10(page.settings.genome_wide);
  const view = { from: 0, to: layout.end, locus: -1, drag: null };
  const most = (arm) => Math.max(line * 1.15, ...(arm ? [layout.p[arm].reduce((a, v) => (v > a ? v : a), 0)] : []));
  const top = Math.max(most(up), most(down)) * 1.04;
  loci.forEach((l) => {
    l.x = layout.place(l.code, l.position);
  });
  const placed = loci.map((l, i) => ({ ...l, index: i })).filter((l) => l.x !== null);
  const frame = { left: 46, right: 12, band: 92, middle: down ? 24 : 0, bottom: down ? 20 : 40 };
  const geometry = (width, height) => {
    const w = width - frame.left - frame.right,
      h = (height - frame.band - frame.middle - frame.bottom) / (down ? 2 : 1);
    const zero = frame.band + h,
      below = zero + frame.middle;
    return {
      w,
      h,
      zero,
      below,
      sx: (v) => frame.left + ((v - view.from) / (view.to - view.from)) * w,
      sy: (v, arm) => (arm === up ? zero - (v / top) * h : below + (v / top) * h),
    };
  };
  let shape = null;
  const draw = (context, width, height) => {
    const g = (shape = geometry(width, height)),
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
    for (const arm of layout.arms) drawBackground(context, g, arm);
    for (const arm of layout.arms) drawPoints(context, g, arm);
    for (const arm of layout.arms)
      dn.line(context, frame.left, sy(line, arm), width - frame.right, sy(line, arm), dn.colours.threshold, 1, [5, 4]);
    drawLoci(context, g);
    if (view.drag) {
      context.fillStyle = "rgba(31,90,138,.13)";
      context.fillRect(
        Math.min(view.drag[0], view.drag[1]),
        frame.band,
        Math.abs(view.drag[1] - view.drag[0]),
        height - frame.band - frame.bottom,
      );
    }
    drawChromosomes(context, g);
    context.restore();
    labels(context, g, width);
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
  const drawBackground = (context, g, arm) => {
    const bits = layout.background[arm];
    if (!bits) return;
    const step = layout.height[arm],
      w = Math.max(1.6, g.sx(layout.cell) - g.sx(0)),
      h = Math.max(1.6, (step / top) * g.h);
    for (const c of layout.chromosomes) {
      context.fillStyle = dn.colours.alternate[arm][c.parity];
      const cells = Math.floor((c.end - c.start) / layout.cell) + 1;
      const first = Math.max(0, Math.floor((view.from - c.from) / layout.cell)),
        last = Math.min(cells, Math.ceil((view.to - c.from) / layout.cell) + 1);
      for (let i = first; i < last; i++) {
        const x = g.sx(c.from + i * layout.cell),
          base = (c.cell + i) * layout.levels;
        for (let k = 0; k < layout.levels; k++) {
          const bit = base + k;
          if (bits[bit >> 3] & (128 >> (bit & 7)))
            context.fillRect(x, arm === up ? g.sy((k + 1) * step, arm) : g.sy(k * step, arm), w, h);
        }
      }
    }
  };
  const drawPoints = (context, g, arm) => {
    const p = layout.p[arm],
      zoomed = layout.end / (view.to - view.from),
      r = zoomed > 8 ? 2.2 : 1.5;
    for (const parity of [0, 1]) {
      context.fillStyle = dn.colours.alternate[arm][parity];
      context.beginPath();
      for (let i = layout.size - 1; i >= 0; i--) {
        if (layout.parity[i] !== parity || Number.isNaN(p[i]) || layout.x[i] < view.from || layout.x[i] > view.to)
          continue;
        const x = g.sx(layout.x[i]),
          y = g.sy(p[i], arm),
          size = p[i] >= line ? r + 0.7 : r;
        if (p[i] < 3) context.rect(x - size * 0.8, y - size * 0.8, size * 1.6, size * 1.6);
        else {
          context.moveTo(x + size, y);
          context.arc(x, y, size, 0, 6.2832);
        }
      }
      context.fill();
    }
  };
  const drawLoci = (context, g) => {
    for (const l of placed) {
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
  const drawChromosomes = (context, g) => {
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
  const labels = (context, g, width) => {
    // the strongest of those in view, as many as have room side by side, spread so that none lies over another
    const room = Math.floor(g.w / 15),
      strength = (l) => Math.max(...Object.values(l.p).map((v) => v ?? 0));
    const shown = placed
      .filter((l) => l.x >= view.from && l.x <= view.to)
      .sort((a, b) => strength(b) - strength(a))
      .slice(0, Math.min(room, Math.max(page.settings.top_loci_labelled, 25)))
      .sort((a, b) => a.x - b.x);
    if (!shown.length) return;
    const at = shown.map((l) => g.sx(l.x)),
      low = frame.left + 7,
      high = width - frame.right - 4,
      step = Math.min(14, (high - low) / shown.length);
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
  const box = dn.canvas(
    `${down ? "Miami" : "Manhattan"} plot: ${layout.arms.map((a, i) => `${dn.names[a]}${down ? (i ? " downwards" : " upwards") : ""}`).join(", ")}; ${dn.plural(loci.length, "locus", "loci")} below p = ${page.settings.genome_wide}. Arrow keys go from locus to locus, Enter opens a region, plus and minus zoom, 0 shows all. The loci are in the table below.`,
    (width) => (width < 600 ? (down ? 430 : 300) : down ? 560 : 360),
    draw,
    { tabindex: "0" },
  );
  const canvas = box.canvas;
  const zoom = (from, to) => {
    const least = 20000,
      width = Math.max(least, Math.min(layout.end, to - from)),
      middle = (from + to) / 2;
    view.from = Math.max(0, Math.min(layout.end - width, middle - width / 2));
    view.to = view.from + width;
    box.redraw();
  };
  const by = (factor, at = (view.from + view.to) / 2) =>
    zoom(at - (at - view.from) * factor, at + (view.to - at) * factor);
  const nearest = (mx, my) => {
    let best = -1,
      least = 100;
    for (const arm of layout.arms) {
      const p = layout.p[arm];
      for (let i = 0; i < layout.size; i++) {
        if (Number.isNaN(p[i]) || layout.x[i] < view.from || layout.x[i] > view.to) continue;
        const dx = shape.sx(layout.x[i]) - mx;
        if (dx > 10 || dx < -10) continue;
        const dy = shape.sy(p[i], arm) - my,
          d = dx * dx + dy * dy;
        if (d < least) {
          least = d;
          best = i;
        }
      }
    }
    return best;
  };
  const window = 5e5;
  const locusAt = (code, position) =>
    placed
      .filter((l) => l.code === code && Math.abs(l.position - position) <= window)
      .sort((a, b) => Math.abs(a.position - position) - Math.abs(b.position - position))[0];
  const inside = (event) => {
    const r = canvas.getBoundingClientRect();
    return [event.clientX - r.left, event.clientY - r.top];
  };
  const value = (mx) => view.from + ((mx - frame.left) / shape.w) * (view.to - view.from);
  canvas.addEventListener("pointermove", (event) => {
    const [mx, my] = inside(event);
    if (view.drag) {
      view.drag[1] = mx;
      box.redraw();
      dn.tooltip.hide();
      return;
    }
    const i = nearest(mx, my);
    if (i < 0) {
      dn.tooltip.hide();
      canvas.style.cursor = "crosshair";
      return;
    }
    const strong = layout.arms.some((a) => layout.p[a][i] >= line),
      locus = strong ? locusAt(layout.code[i], layout.position[i]) : null;
    canvas.style.cursor = locus?.region ? "pointer" : "crosshair";
    dn.tooltip.show(dn.pointLines(layout, i, locus), event.clientX, event.clientY);
  });
  canvas.addEventListener("pointerleave", () => dn.tooltip.hide());
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button === 0) {
      const [mx] = inside(event);
      view.drag = [mx, mx];
      canvas.setPointerCapture(event.pointerId);
    }
  });
  canvas.addEventListener("pointercancel", () => {
    view.drag = null;
    box.redraw();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!view.drag) return;
    const [a, b] = view.drag.map(value).sort((p, q) => p - q),
      moved = Math.abs(view.drag[1] - view.drag[0]);
    view.drag = null;
    if (moved > 6) {
      zoom(a, b);
      return;
    }
    box.redraw();
    const [mx, my] = inside(event),
      i = nearest(mx, my);
    const locus =
      i >= 0
        ? locusAt(layout.code[i], layout.position[i])
        : my < frame.band
          ? null
          : placed.find((l) =>
              layout.arms.some(
                (arm) => dn.isNumber(l.p[arm]) && Math.hypot(shape.sx(l.x) - mx, shape.sy(l.p[arm], arm) - my) < 9,
              ),
            );
    if (locus?.region) onlocus(locus);
  });
  canvas.addEventListener("dblclick", () => zoom(0, layout.end));
  canvas.addEventListener(
    "wheel",
    (event) => {
      // plain turning of the wheel moves the page
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      by(event.deltaY > 0 ? 1.25 : 0.8, value(inside(event)[0]));
    },
    { passive: false },
  );
  const step = (n) => {
    const order = placed.slice().sort((a, b) => a.x - b.x);
    if (!order.length) return;
    const at = order.findIndex((l) => l.index === view.locus),
      next = order[(at < 0 ? (n > 0 ? 0 : order.length - 1) : at + n + order.length) % order.length];
    view.locus = next.index;
    if (next.x < view.from || next.x > view.to)
      zoom(next.x - (view.to - view.from) / 2, next.x + (view.to - view.from) / 2);
    else box.redraw();
    dn.say(
      `${next.label}, ${dn.place(next.code, next.position)}, ${next.verdict === "single" ? "" : next.verdict + ", "}${layout.arms.map((a) => `${dn.names[a]} p ${dn.p(next.p[a])}`).join(", ")}`,
    );
  };
  canvas.addEventListener("keydown", (event) => {
    const keys = {
      ArrowRight: () => step(1),
      ArrowLeft: () => step(-1),
      "+": () => by(0.5),
      "=": () => by(0.5),
      "-": () => by(2),
      0: () => zoom(0, layout.end),
      Enter: () => {
        const l = loci[view.locus];
        if (l?.region) onlocus(l);
      },
    };
    if (keys[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  const choose = dn.el(
    "select",
    {
      "aria-label": "Chromosome",
      onchange: () => {
        const c = layout.chromosomes.find((one) => String(one.code) === choose.value);
        if (c) zoom(c.from, c.from + c.length);
        else zoom(0, layout.end);
      },
    },
    dn.el("option", { value: "" }, "All chromosomes"),
    layout.chromosomes.map((c) => dn.el("option", { value: c.code }, `Chromosome ${c.name}`)),
  );
  const controls = dn.el(
    "div",
    { class: "tools" },
    choose,
    dn.el("button", { type: "button", "aria-label": "Zoom in", onclick: () => by(0.5) }, "+"),
    dn.el("button", { type: "button", "aria-label": "Zoom out", onclick: () => by(2) }, "−"),
    dn.el(
      "button",
      {
        type: "button",
        onclick: () => {
          choose.value = "";
          zoom(0, layout.end);
        },
      },
      "Whole genome",
    ),
  );
  return dn.el("div", {}, controls, box);
};
