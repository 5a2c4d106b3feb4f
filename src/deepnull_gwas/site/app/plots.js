/* Canvases and small figures: sizes, axes, ticks, what is shown at the pointer. */
"use strict";

dn.font = (size, weight = "") =>
  `${weight} ${size}px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif`.trim();

/** Return about `count` round ticks within a range. */
dn.ticks = (low, high, count = 5) => {
  if (!(high > low)) return [low];
  const raw = (high - low) / count,
    size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * size).find((s) => s >= raw * 0.999);
  const out = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++)
    out.push(Number((i * step).toPrecision(12)));
  return out;
};

/** The same, two at least. */
dn.someTicks = (low, high, count) => {
  const some = dn.ticks(low, high, count);
  return some.length > 1 ? some : dn.ticks(low, high, 2 * count);
};

/** Return a figure on a canvas that is drawn again when its width changes. draw(context, width, height) */
dn.canvas = (label, height, draw, attributes = {}) => {
  const canvas = dn.el("canvas", { role: "img", "aria-label": label, width: 0, height: 0, ...attributes });
  const box = dn.el("div", { class: "plot" }, canvas);
  box.redraw = () => {
    const width = box.clientWidth;
    if (!width) return;
    const h = typeof height === "function" ? height(width) : height,
      ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(h * ratio);
      canvas.style.height = `${h}px`;
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, h);
    draw(context, width, h);
  };
  new ResizeObserver(() => box.redraw()).observe(box);
  box.canvas = canvas;
  return box;
};

/** Write text on a canvas. */
dn.text = (
  context,
  text,
  x,
  y,
  { align = "left", base = "middle", size = 12, colour = dn.colours.text, weight = "", turn = 0 } = {},
) => {
  context.save();
  context.translate(x, y);
  context.rotate(turn);
  context.font = dn.font(size, weight);
  context.textAlign = align;
  context.textBaseline = base;
  context.fillStyle = colour;
  context.fillText(text, 0, 0);
  context.restore();
};

/** Draw a straight line on a canvas. */
dn.line = (context, x0, y0, x1, y1, colour, width = 1, dash = []) => {
  context.beginPath();
  context.setLineDash(dash);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
  context.setLineDash([]);
};

dn.dot = (context, x, y, r, fill, stroke) => {
  context.beginPath();
  context.arc(x, y, r, 0, 2 * Math.PI);
  if (fill) {
    context.fillStyle = fill;
    context.fill();
  }
  if (stroke) {
    context.strokeStyle = stroke;
    context.stroke();
  }
};

/** What is shown beside the pointer. */
dn.tooltip = {
  box: null,
  show(lines, x, y) {
    this.box ??= document.body.appendChild(dn.el("div", { class: "tooltip", role: "presentation" }));
    this.box.replaceChildren(...lines.map((l) => dn.el("div", {}, l)));
    this.box.hidden = false;
    const w = this.box.offsetWidth,
      h = this.box.offsetHeight;
    this.box.style.left = `${Math.max(4, Math.min(x + 14, window.innerWidth - w - 8))}px`;
    this.box.style.top = `${y + 18 + h > window.innerHeight ? Math.max(4, y - h - 12) : y + 18}px`;
  },
  hide() {
    if (this.box) this.box.hidden = true;
  },
};

/** Return a small figure as SVG with axes. draw({x, y, plot}) gets the scales; ranges are [low, high]. */
dn.figure = (
  {
    label,
    title,
    width = 260,
    height = 170,
    x,
    y,
    xlabel,
    ylabel,
    xticks,
    yticks,
    left = 46,
    right = 10,
    bottom = 36,
    format,
  },
  draw,
) => {
  const top = title ? 24 : 8,
    w = width - left - right,
    h = height - top - bottom;
  const sx = (v) => left + ((v - x[0]) / (x[1] - x[0] || 1)) * w,
    sy = (v) => top + h - ((v - y[0]) / (y[1] - y[0] || 1)) * h;
  const s = dn.svg,
    show = format || ((v) => dn.digits(v, 4));
  const out = s("svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    "aria-label": label,
    class: "figure",
  });
  if (title)
    out.append(
      s("text", { x: 4, y: 14, class: "title" }, s("title", {}, title), dn.short(title, Math.floor(width / 7.6))),
    );
  for (const t of yticks || dn.someTicks(y[0], y[1], 4)) {
    const value = typeof t === "object" ? t.at : t;
    out.append(
      s("line", { x1: left, x2: left + w, y1: sy(value), y2: sy(value), class: "grid" }),
      s(
        "text",
        { x: left - 6, y: sy(value), class: "tick", "text-anchor": "end", dy: "0.32em" },
        typeof t === "object" ? t.label : show(t),
      ),
    );
  }
  for (const t of xticks || dn.someTicks(x[0], x[1], Math.max(3, Math.floor(w / 58)))) {
    const value = typeof t === "object" ? t.at : t;
    out.append(
      s("line", { x1: sx(value), x2: sx(value), y1: top + h, y2: top + h + 4, class: "axis" }),
      s(
        "text",
        { x: sx(value), y: top + h + 15, class: "tick", "text-anchor": "middle" },
        typeof t === "object" ? t.label : show(t),
      ),
    );
  }
  out.append(s("line", { x1: left, x2: left + w, y1: top + h, y2: top + h, class: "axis" }));
  if (xlabel)
    out.append(s("text", { x: left + w / 2, y: height - 4, class: "label", "text-anchor": "middle" }, xlabel));
  if (ylabel)
    out.append(
      s(
        "text",
        { transform: `translate(11 ${top + h / 2}) rotate(-90)`, class: "label", "text-anchor": "middle" },
        ylabel,
      ),
    );
  const plot = s("g", {});
  out.append(plot);
  draw({ sx, sy, plot, left, top, w, h });
  return out;
};

/** Return a range with room around some values. */
dn.range = (values, room = 0.06) => {
  const own = values.filter(dn.isNumber),
    low = Math.min(...own),
    high = Math.max(...own);
  if (!own.length) return [0, 1];
  const more = (high - low || Math.abs(high) || 1) * room;
  return [low - more, high + more];
};

/** Return the path of a line through points. */
dn.path = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(2)} ${b.toFixed(2)}`).join("");

/** Return a histogram with its cut-offs. */
dn.histogram = ({ what, label, unit, from, to, counts, cuts = [] }, width = 320) => {
  const most = Math.max(1, ...counts),
    log = most > 500;
  const up = log ? (v) => (v > 0 ? Math.log10(v) + 0.15 : 0) : (v) => v;
  const yticks = log
    ? Array.from({ length: Math.floor(Math.log10(most)) + 1 }, (_, i) => ({ at: i + 0.15, label: dn.count(10 ** i) }))
    : undefined;
  return dn.figure(
    {
      label: `${what}: histogram of ${label}, ${dn.count(counts.reduce((a, b) => a + b, 0))} ${unit}${cuts.length ? `; cut-offs ${cuts.map((c) => dn.digits(c)).join(", ")}` : ""}`,
      title: what,
      width,
      height: 190,
      x: [from, to],
      y: [0, up(most) * 1.05],
      xlabel: label,
      ylabel: `${unit}${log ? " (log)" : ""}`,
      yticks,
      left: 62,
    },
    ({ sx, sy, plot }) => {
      const step = (to - from) / counts.length;
      counts.forEach(
        (c, i) =>
          c &&
          plot.append(
            dn.svg(
              "rect",
              {
                x: sx(from + i * step),
                y: sy(up(c)),
                width: Math.max(0.5, sx(step) - sx(0) - 0.5),
                height: sy(0) - sy(up(c)),
                fill: dn.colours.baseline,
              },
              dn.svg(
                "title",
                {},
                `${dn.digits(from + i * step)} to ${dn.digits(from + (i + 1) * step)}: ${dn.count(c)} ${unit}`,
              ),
            ),
          ),
      );
      cuts.forEach((c) =>
        plot.append(
          dn.svg("line", {
            x1: sx(c),
            x2: sx(c),
            y1: sy(0),
            y2: sy(up(most) * 1.05),
            stroke: dn.colours.threshold,
            "stroke-dasharray": "4 3",
          }),
        ),
      );
    },
  );
};
