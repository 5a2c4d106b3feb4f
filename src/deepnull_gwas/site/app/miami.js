/* The plot along the genome: one arm upwards, the other downwards; what is under the pointer; zoom. */
"use strict";

/** A press within this many base pairs of a lead variant is a press on its locus. */
dn.LOCUS = 5e5;

/**
 * Return the plot with its buttons.
 * loci: {code, position, label, gene, verdict, p: {arm: -log10 p}, region} of lead variants; onlocus(locus) opens one.
 */
dn.miami = (page, loci, onlocus) => {
  const layout = dn.layOut(page.genome),
    [up, down] = layout.arms,
    line = -Math.log10(page.settings.genome_wide);
  const largest = layout.arms.map((arm) => layout.p[arm].reduce((a, v) => (v > a ? v : a), 0));
  const placed = loci
    .map((l, index) => ({ ...l, index, x: layout.place(l.code, l.position) }))
    .filter((l) => l.x !== null);
  const plot = {
    page,
    layout,
    loci: placed,
    up,
    down,
    line,
    top: Math.max(line * 1.15, ...largest) * 1.04,
    view: { from: 0, to: layout.end, locus: -1, drag: null },
    frame: { left: 54, right: 12, band: 92, middle: down ? 24 : 0, bottom: down ? 20 : 40 },
    shape: null,
  };
  const arms = layout.arms.map((a, i) => `${dn.names[a]}${down ? (i ? " downwards" : " upwards") : ""}`).join(", ");
  const label =
    `${down ? "Miami" : "Manhattan"} plot: ${arms}; ${dn.plural(loci.length, "locus", "loci")} below ` +
    `p = ${page.settings.genome_wide}. Arrow keys go from locus to locus, Enter opens a region, plus and minus zoom, ` +
    "0 shows all. The loci are in the table below.";
  const height = (width) => (width < 600 ? (down ? 430 : 300) : down ? 560 : 360);
  const draw = (context, width, h) => dn.along.draw(context, plot, width, h);
  const box = (plot.box = dn.canvas(label, height, draw, { tabindex: "0" }));
  box.plot = plot;
  dn.followPointer(plot, onlocus);
  dn.followKeys(plot, (index) => loci[index]?.region && onlocus(loci[index]));
  return dn.el("div", {}, dn.zoomControls(plot), box);
};

/** Show a part of the genome. */
dn.zoom = ({ layout, view, box }, from = 0, to = layout.end) => {
  const width = Math.max(20000, Math.min(layout.end, to - from)),
    middle = (from + to) / 2;
  view.from = Math.max(0, Math.min(layout.end - width, middle - width / 2));
  view.to = view.from + width;
  box.redraw();
};

/** Show so many times as much of it, around a place. */
dn.zoomBy = (plot, factor, at = (plot.view.from + plot.view.to) / 2) =>
  dn.zoom(plot, at - (at - plot.view.from) * factor, at + (plot.view.to - at) * factor);

/** Return the point nearest to a place on the canvas, -1 where none is near. */
dn.nearestPoint = ({ layout, view, shape }, mx, my) => {
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

/** Return the locus of a position, the nearest where there are several. */
dn.locusAt = ({ loci }, code, position) =>
  loci
    .filter((l) => l.code === code && Math.abs(l.position - position) <= dn.LOCUS)
    .sort((a, b) => Math.abs(a.position - position) - Math.abs(b.position - position))[0];

/** Show what is under the pointer; drag to zoom; press a peak to open its region. */
dn.followPointer = (plot, onlocus) => {
  const { layout, view, frame, line, box } = plot,
    canvas = box.canvas;
  const inside = (event) => {
    const r = canvas.getBoundingClientRect();
    return [event.clientX - r.left, event.clientY - r.top];
  };
  const value = (mx) => view.from + ((mx - frame.left) / plot.shape.w) * (view.to - view.from);
  canvas.addEventListener("pointermove", (event) => {
    const [mx, my] = inside(event);
    if (view.drag) {
      view.drag[1] = mx;
      box.redraw();
      dn.tooltip.hide();
      return;
    }
    const i = dn.nearestPoint(plot, mx, my);
    if (i < 0) {
      dn.tooltip.hide();
      canvas.style.cursor = "crosshair";
      return;
    }
    const strong = layout.arms.some((a) => layout.p[a][i] >= line),
      locus = strong ? dn.locusAt(plot, layout.code[i], layout.position[i]) : null;
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
      dn.zoom(plot, a, b);
      return;
    }
    box.redraw();
    const [mx, my] = inside(event),
      i = dn.nearestPoint(plot, mx, my);
    const locus = i >= 0 ? dn.locusAt(plot, layout.code[i], layout.position[i]) : null;
    if (locus?.region) onlocus(locus);
  });
  canvas.addEventListener("dblclick", () => dn.zoom(plot));
  canvas.addEventListener(
    "wheel",
    (event) => {
      // plain turning of the wheel moves the page
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      dn.zoomBy(plot, event.deltaY > 0 ? 1.25 : 0.8, value(inside(event)[0]));
    },
    { passive: false },
  );
};

/** Go from locus to locus and zoom by keys. */
dn.followKeys = (plot, open) => {
  const { layout, view, loci, box } = plot;
  const step = (n) => {
    const order = [...loci].sort((a, b) => a.x - b.x);
    if (!order.length) return;
    const at = order.findIndex((l) => l.index === view.locus),
      next = order[(at < 0 ? (n > 0 ? 0 : order.length - 1) : at + n + order.length) % order.length];
    view.locus = next.index;
    if (next.x < view.from || next.x > view.to)
      dn.zoom(plot, next.x - (view.to - view.from) / 2, next.x + (view.to - view.from) / 2);
    else box.redraw();
    const arms = layout.arms.map((a) => `${dn.names[a]} p ${dn.p(next.p[a])}`);
    const verdict = next.verdict === "single" ? [] : [next.verdict];
    dn.say([next.label, dn.place(next.code, next.position), ...verdict, ...arms].join(", "));
  };
  box.canvas.addEventListener("keydown", (event) => {
    const keys = {
      ArrowRight: () => step(1),
      ArrowLeft: () => step(-1),
      "+": () => dn.zoomBy(plot, 0.5),
      "=": () => dn.zoomBy(plot, 0.5),
      "-": () => dn.zoomBy(plot, 2),
      0: () => dn.zoom(plot),
      Enter: () => open(view.locus),
    };
    if (keys[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      keys[event.key]();
    }
  });
};

/** Return the buttons of a plot. */
dn.zoomControls = (plot) => {
  const { layout } = plot;
  const choose = dn.el(
    "select",
    {
      "aria-label": "Chromosome",
      onchange: () => {
        const c = layout.chromosomes.find((one) => String(one.code) === choose.value);
        if (c) dn.zoom(plot, c.from, c.from + c.length);
        else dn.zoom(plot);
      },
    },
    dn.el("option", { value: "" }, "All chromosomes"),
    layout.chromosomes.map((c) => dn.el("option", { value: c.code }, `Chromosome ${c.name}`)),
  );
  return dn.el(
    "div",
    { class: "tools" },
    choose,
    dn.el("button", { type: "button", "aria-label": "Zoom in", onclick: () => dn.zoomBy(plot, 0.5) }, "+"),
    dn.el("button", { type: "button", "aria-label": "Zoom out", onclick: () => dn.zoomBy(plot, 2) }, "−"),
    dn.el(
      "button",
      {
        type: "button",
        onclick: () => {
          choose.value = "";
          dn.zoom(plot);
        },
      },
      "Whole genome",
    ),
  );
};
