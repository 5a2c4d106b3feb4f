/* What the prediction of a study learned. */
"use strict";

dn.learnedSection = (page) => {
  const learned = page.learned;
  if (!learned) return null;
  const about = page.about;
  if (learned.status !== "ok")
    return dn.section(
      "What the prediction learned",
      { id: "learned" },
      dn.el("p", {}, `The prediction failed at ${learned.stage}: ${learned.reason}`),
    );
  const curves = learned.dependence,
    ends = dn.range(
      curves.flatMap((c) => c.prediction),
      0.08,
    );
  const scale = about.trait === "binary" ? "change of the logit" : "change of the prediction";
  return dn.section(
    "What the prediction learned",
    {
      from: ["deepnull/metrics.json", "samples.parquet"],
      id: "learned",
      note: "Models of the phenotype from the covariates, each measured on people it never saw. Their weighted stack is the prediction; what it has beyond the linear model enters the association as the DeepNull covariate.",
    },
    dn.el("div", { class: "figures" }, dn.accuracyFigure(learned), dn.calibrationFigure(learned, about)),
    dn.el("h3", {}, "Partial dependence"),
    dn.el(
      "p",
      { class: "note" },
      `The mean prediction as one covariate changes and the others stay; below each curve, how many people have which value. ${curves.length === 12 ? "The twelve covariates of the strongest dependence." : ""}`,
    ),
    dn.el(
      "div",
      { class: "figures" },
      curves.map((c) => dn.dependenceFigure(c, ends, scale)),
    ),
    learned.interaction && learned.interaction.share > 0
      ? [
          dn.el("h3", {}, "The strongest interaction"),
          dn.el(
            "p",
            { class: "note" },
            `${learned.interaction.names.join(" and ")}: ${dn.percent(learned.interaction.share)} of their joint effect on the prediction is not a sum of two curves.`,
          ),
          dn.el(
            "div",
            { class: "figures" },
            dn.interactionFigure(learned.interaction, scale),
            dn.interactionMap(learned.interaction),
          ),
        ]
      : null,
  );
};

/** R2 (binary: AUC) by model, out of fold: bars for all people, dots for folds. */
dn.accuracyFigure = (learned) => {
  const measure = "auc" in learned.accuracy.linear ? "auc" : "r2",
    origin = measure === "auc" ? 0.5 : 0;
  const models = Object.entries(learned.models).map(([name, m]) => [
    name,
    m[measure],
    learned.folds[name] || [],
    learned.weights[name],
  ]);
  if (!models.some(([name]) => name === "linear" || name === "baseline"))
    models.unshift(["linear", learned.accuracy.linear[measure], []]);
  models.push(["deepnull", learned.accuracy.deepnull[measure], learned.folds.deepnull || []]);
  const values = models.flatMap(([, v, f]) => [v, ...f.map((o) => o[measure])]).filter(dn.isNumber);
  const low = Math.min(origin, ...values),
    high = Math.max(...values, origin + 0.01);
  const top = high + (high - low) * 0.12;
  return dn.figure(
    {
      label: `${dn.explained(measure)} by model, out of fold: ${models.map(([n, v]) => `${n === "deepnull" ? "stack" : dn.modelName(n)} ${dn.fixed(v, 3)}`).join(", ")}`,
      title: `${dn.explained(measure)} by model, out of fold`,
      width: Math.max(330, 74 * models.length + 60),
      height: 230,
      x: [0, models.length],
      y: [low < origin ? low * 1.1 : origin, top],
      ylabel: dn.explained(measure),
      left: 52,
      xticks: [],
      bottom: 44,
    },
    ({ sx, sy, plot, top: t, h }) => {
      models.forEach(([name, value, folds, weight], i) => {
        const best = name === "deepnull",
          colour = best ? dn.colours.deepnull : dn.colours.baseline,
          middle = sx(i + 0.5);
        if (dn.isNumber(value)) {
          plot.append(
            dn.svg(
              "rect",
              {
                x: middle - 20,
                width: 40,
                y: Math.min(sy(value), sy(origin)),
                height: Math.abs(sy(value) - sy(origin)),
                fill: colour,
                opacity: best ? 1 : 0.75,
              },
              dn.svg("title", {}, `${dn.modelName(name)}: ${dn.fixed(value, 4)}`),
            ),
            dn.svg(
              "text",
              {
                x: middle,
                y: Math.min(sy(value), sy(Math.max(value, ...folds.map((f) => f[measure] ?? value)))) - 7,
                "text-anchor": "middle",
              },
              dn.fixed(value, 3),
            ),
          );
        }
        folds.forEach(
          (f, k) =>
            dn.isNumber(f[measure]) &&
            plot.append(
              dn.svg("circle", {
                cx: middle - 14 + 28 * (folds.length > 1 ? k / (folds.length - 1) : 0.5),
                cy: sy(f[measure]),
                r: 1.8,
                fill: "#23231f",
              }),
            ),
        );
        plot.append(
          dn.svg(
            "text",
            { x: middle, y: t + h + 15, "text-anchor": "middle" },
            best ? "prediction" : dn.short(dn.modelName(name), 13),
          ),
        );
        if (dn.isNumber(weight))
          plot.append(
            dn.svg(
              "text",
              { x: middle, y: t + h + 30, "text-anchor": "middle", class: "tick" },
              `weight ${dn.fixed(weight, 2)}`,
            ),
          );
      });
      plot.append(dn.svg("line", { x1: sx(0), x2: sx(models.length), y1: sy(origin), y2: sy(origin), class: "axis" }));
    },
  );
};

dn.calibrationFigure = (learned, about) => {
  const tenths = learned.calibration,
    ends = dn.range(tenths.flatMap((t) => [t.predicted, t.observed]));
  const observed = about.trait === "binary" ? "share of cases" : "phenotype";
  return dn.figure(
    {
      label: `Calibration: observed ${observed} against the predicted one, in tenths of the people`,
      title: "Calibration, tenths of the people",
      width: 300,
      height: 230,
      x: ends,
      y: ends,
      xlabel: "predicted",
      ylabel: `observed ${observed}`,
      left: 56,
      bottom: 40,
    },
    ({ sx, sy, plot }) => {
      plot.append(
        dn.svg("line", { x1: sx(ends[0]), y1: sy(ends[0]), x2: sx(ends[1]), y2: sy(ends[1]), class: "axis" }),
        dn.svg("path", {
          d: dn.path(tenths.map((t) => [sx(t.predicted), sy(t.observed)])),
          fill: "none",
          stroke: dn.colours.deepnull,
          "stroke-width": 1.6,
        }),
        ...tenths.map((t) =>
          dn.svg(
            "circle",
            { cx: sx(t.predicted), cy: sy(t.observed), r: 3.2, fill: dn.colours.deepnull },
            dn.svg(
              "title",
              {},
              `${dn.count(t.people)} people: predicted ${dn.digits(t.predicted)}, observed ${dn.digits(t.observed)}`,
            ),
          ),
        ),
      );
    },
  );
};

/** The curve of a covariate, with the density of the data below it. */
dn.dependenceFigure = (curve, ends, scale) => {
  const d = curve.density,
    few = curve.values.length < 6;
  let x = dn.range(
    few ? curve.values : [...curve.values, ...(d && "from" in d ? [d.from, d.to] : [])],
    few ? 0.3 : 0.02,
  );
  if (x[0] === x[1]) x = [x[0] - 1, x[1] + 1];
  const height = 180;
  return dn.figure(
    {
      label: `${curve.name}: ${scale} from ${dn.digits(Math.min(...curve.prediction))} to ${dn.digits(Math.max(...curve.prediction))}`,
      title: curve.name,
      width: 232,
      height,
      x,
      y: ends,
      left: 46,
      bottom: 52,
      xticks: few ? curve.values.map((v) => ({ at: v, label: dn.digits(v, 3) })) : undefined,
      format: (v) => dn.digits(v, 3),
      ylabel: scale.replace("change of the ", "Δ "),
    },
    ({ sx, sy, plot, top, h }) => {
      plot.append(
        dn.svg("path", {
          d: dn.path(curve.values.map((v, i) => [sx(v), sy(curve.prediction[i])])),
          fill: "none",
          stroke: dn.colours.deepnull,
          "stroke-width": 1.8,
        }),
      );
      if (few)
        curve.values.forEach((v, i) =>
          plot.append(dn.svg("circle", { cx: sx(v), cy: sy(curve.prediction[i]), r: 3.2, fill: dn.colours.deepnull })),
        );
      if (!d) return;
      const most = Math.max(1, ...d.counts),
        base = top + h + 48,
        room = 24;
      const at = d.at || d.counts.map((_, i) => d.from + ((i + 0.5) * (d.to - d.from)) / d.counts.length);
      const w = d.at ? 10 : Math.max(1, sx(at[1] ?? at[0] + 1) - sx(at[0]) - 0.4);
      d.counts.forEach(
        (c, i) =>
          c &&
          sx(at[i]) >= sx(x[0]) - 1 &&
          sx(at[i]) <= sx(x[1]) + 1 &&
          plot.append(
            dn.svg(
              "rect",
              {
                x: sx(at[i]) - w / 2,
                width: w,
                y: base - (room * c) / most,
                height: (room * c) / most,
                fill: "#c9cfd8",
              },
              dn.svg("title", {}, `${dn.digits(at[i])}: ${dn.count(c)} people`),
            ),
          ),
      );
    },
  );
};

dn.ramp = (t) => {
  const stops = [
      [33, 62, 107],
      [72, 122, 168],
      [236, 233, 226],
      [224, 143, 84],
      [168, 67, 0],
    ],
    s = Math.max(0, Math.min(0.9999, t)) * 4,
    i = Math.floor(s),
    f = s - i;
  return `rgb(${stops[i].map((v, k) => Math.round(v + (stops[i + 1][k] - v) * f)).join(",")})`;
};

/** Lines of the first covariate at the values of the second. */
dn.interactionFigure = ({ names, values, prediction }, scale) =>
  dn.figure(
    {
      label: `${scale} by ${names[0]}, at ${values[1].length} values of ${names[1]}`,
      title: `by ${dn.short(names[0], 16)}, one line per value of ${dn.short(names[1], 16)}`,
      width: 400,
      height: 230,
      right: 46,
      x: dn.range(values[0], 0.02),
      y: dn.range(prediction.flat()),
      xlabel: dn.short(names[0], 40),
      ylabel: scale.replace("change of the ", "Δ "),
      left: 52,
      bottom: 40,
      format: (v) => dn.digits(v, 3),
    },
    ({ sx, sy, plot }) => {
      // names of the lines at their ends, spread so that none lies over another
      const last = values[0].length - 1,
        ends = values[1].map((v, j) => ({ j, at: sy(prediction[last][j]) })).sort((a, b) => a.at - b.at);
      ends.forEach((e, i) => {
        if (i) e.at = Math.max(e.at, ends[i - 1].at + 12);
      });
      const place = new Map(ends.map((e) => [e.j, e.at]));
      values[1].forEach((v, j) => {
        const colour = dn.ramp(values[1].length > 1 ? j / (values[1].length - 1) : 0.5),
          line = values[0].map((u, i) => [sx(u), sy(prediction[i][j])]);
        plot.append(
          dn.svg(
            "path",
            {
              d: dn.path(line),
              fill: "none",
              stroke: colour === "rgb(236,233,226)" ? "#b9b4a6" : colour,
              "stroke-width": 2,
            },
            dn.svg("title", {}, `${names[1]} = ${dn.digits(v)}`),
          ),
          dn.svg("text", { x: line.at(-1)[0] + 6, y: place.get(j), dy: "0.32em" }, dn.digits(v, 3)),
        );
      });
    },
  );

/** The plane of both covariates. */
dn.interactionMap = ({ names, values, prediction }) => {
  const all = prediction.flat(),
    most = Math.max(...all.map(Math.abs)) || 1,
    [a, b] = values;
  return dn.figure(
    {
      label: `Mean prediction by ${names[0]} and ${names[1]}, from ${dn.digits(Math.min(...all))} to ${dn.digits(Math.max(...all))}`,
      title: "the same as a plane",
      width: 300,
      height: 230,
      x: [0, a.length],
      y: [0, b.length],
      left: 58,
      bottom: 40,
      xlabel: dn.short(names[0], 30),
      ylabel: dn.short(names[1], 26),
      xticks: a.map((v, i) => ({ at: i + 0.5, label: dn.digits(v, 3) })),
      yticks: b.map((v, i) => ({ at: i + 0.5, label: dn.digits(v, 3) })),
    },
    ({ sx, sy, plot }) =>
      a.forEach((u, i) =>
        b.forEach((v, j) =>
          plot.append(
            dn.svg(
              "rect",
              {
                x: sx(i) + 0.5,
                y: sy(j + 1) + 0.5,
                width: sx(1) - sx(0) - 1,
                height: sy(0) - sy(1) - 1,
                fill: dn.ramp(0.5 + prediction[i][j] / most / 2),
              },
              dn.svg(
                "title",
                {},
                `${names[0]} ${dn.digits(u)}, ${names[1]} ${dn.digits(v)}: ${dn.digits(prediction[i][j])}`,
              ),
            ),
          ),
        ),
      ),
  );
};
