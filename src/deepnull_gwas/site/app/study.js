/* The page of a study. */
"use strict";

/** Return the loci of a study as rows: lead variant, verdict, effects of each arm, whether there is a region. */
dn.lociOf = (page, row) => {
  const t = page.loci,
    arms = Object.keys(page.arms),
    n = t.original_id.length;
  const regions = new Map(row.regions.map((r) => [`${r.code}:${r.position}`, r.name]));
  return Array.from({ length: n }, (_, i) => {
    const gene = t.nearest_gene?.[i] ?? null;
    const locus = {
      code: t.chromosome[i],
      position: t.base_pair_location[i],
      id: t.original_id[i] ?? t.variant_id[i],
      effect_allele: t.effect_allele[i],
      other_allele: t.other_allele[i],
      verdict: t.verdict[i],
      gene,
      distance: t.gene_distance?.[i] ?? null,
      genes: t.genes?.[i] ?? null,
      n: t.n?.[i],
      p: {},
      beta: {},
      se: {},
      region: regions.get(`${t.chromosome[i]}:${t.base_pair_location[i]}`) || null,
    };
    // a long ID would be cut: the place says as much
    locus.label =
      gene ||
      (/^rs\d{1,10}$/.test(locus.id)
        ? locus.id
        : `${dn.chromosome(locus.code)}:${(locus.position / 1e6).toFixed(2)} Mb`);
    for (const arm of arms) {
      locus.p[arm] = t[`neg_log_10_p_value_${arm}`][i];
      locus.beta[arm] = t[`beta_${arm}`][i];
      locus.se[arm] = t[`standard_error_${arm}`][i];
    }
    return locus;
  });
};

dn.verdict = (v) => dn.el("span", { class: `verdict ${v}` }, v === "single" ? "found" : v);

dn.lociTable = (page, row, loci) => {
  const arms = Object.keys(page.arms).sort(),
    about = page.about,
    two = arms.length === 2,
    genes = loci.some((l) => l.gene);
  const largest = (l) => Math.max(...arms.map((a) => l.p[a] ?? 0));
  const effect = (l, a) =>
    l.beta[a] === null ? "–" : dn.el("span", {}, dn.effect(l.beta[a]), dn.el("small", {}, `SE ${dn.effect(l.se[a])}`));
  const columns = [
    {
      key: "variant",
      label: "Lead variant",
      value: (l) => l.id,
      cell: (l) =>
        dn.el(
          "div",
          { class: "name" },
          l.region ? dn.link(["locus", about.cohort, about.study, l.region], dn.short(l.id, 30)) : dn.named(l.id, 30),
          dn.el("small", {}, `${dn.short(l.effect_allele, 12)} against ${dn.short(l.other_allele, 12)}`),
        ),
    },
    {
      key: "place",
      label: "Place",
      value: (l) => l.code * 1e10 + l.position,
      cell: (l) => dn.place(l.code, l.position),
    },
    genes && {
      key: "gene",
      label: "Nearest gene",
      value: (l) => l.gene,
      cell: (l) =>
        l.gene
          ? dn.el(
              "span",
              {},
              dn.named(l.gene, 24),
              dn.el("small", {}, l.distance > 0 ? `${dn.kilobases(l.distance)} away` : "inside"),
            )
          : "–",
    },
    two && {
      key: "verdict",
      label: "Verdict",
      title: "shared: found by both arms; gained: by DeepNull only; lost: by the baseline only",
      value: (l) => l.verdict,
      cell: (l) => dn.verdict(l.verdict),
    },
    ...arms.flatMap((a) => [
      { key: `beta_${a}`, label: `β ${dn.names[a]}`, number: true, value: (l) => l.beta[a], cell: (l) => effect(l, a) },
      {
        key: `p_${a}`,
        label: `p ${dn.names[a]}`,
        number: true,
        title: "Sorts by −log₁₀(p): the smallest p-value first",
        value: (l) => l.p[a],
        cell: (l) => dn.p(l.p[a]),
      },
    ]),
  ].filter(Boolean);
  const names = Object.keys(page.loci);
  return dn.section(
    "Loci",
    {
      from: [two ? "comparison.tsv" : `${arms[0]}/leads.tsv`],
      id: "loci",
      note: `Lead variants with p below ${dn.digits(page.settings.genome_wide)}; β counts the effect allele, the first of the two${about.trait === "binary" ? ", as log odds ratio" : about.transform && about.transform !== "none" ? `, on the scale of the transformed phenotype (${about.transform.replaceAll("_", " ")})` : ""}.`,
    },
    dn.el(
      "div",
      { class: "tools" },
      dn.el("span", { class: "found" }, dn.plural(loci.length, "locus", "loci")),
      dn.saveButton("CSV", () =>
        dn.download(
          `${about.cohort}_${about.study}_loci.csv`,
          names,
          loci.map((_, i) => names.map((c) => page.loci[c][i])),
        ),
      ),
    ),
    dn.table(columns, {
      caption: `Loci of ${about.study}`,
      rows: [...loci].sort((a, b) => largest(b) - largest(a)),
      most: window.innerWidth < 760 ? 10 : 50,
      empty: "no variant reaches genome-wide significance",
    }),
  );
};

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
      const f = { left: 44, right: 12, top: 10, bottom: 38 },
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

dn.peopleSection = (page) => {
  const steps = page.accounting,
    most = Math.max(1, ...steps.map((s) => s.people + 0));
  const reasons = Object.keys(page.arms)
    .sort()
    .flatMap((a) => Object.entries(page.arms[a].untested || {}).map(([reason, count]) => ({ arm: a, reason, count })));
  const kinds = page.covariates.map((c) => c.name);
  return dn.section(
    "Who and what was analysed",
    { from: ["study.json", ...Object.keys(page.arms).map((a) => `${a}/tests.json`)], id: "people" },
    dn.table(
      [
        { key: "step", label: "Step", cell: (s) => dn.named(s.step, 70) },
        { key: "removed", label: "Left out", number: true, cell: (s) => (s.removed ? `−${dn.count(s.removed)}` : "0") },
        { key: "people", label: "People", number: true, cell: (s) => dn.count(s.people) },
        {
          key: "bar",
          label: "",
          cell: (s) =>
            dn.el(
              "span",
              { class: "bar people", "aria-hidden": "true" },
              dn.el("i", { style: `width:${((180 * s.people) / most).toFixed(1)}px` }),
            ),
        },
      ],
      { caption: "Who was analysed", rows: steps },
    ),
    kinds.length
      ? dn.el(
          "p",
          { class: "note", style: "margin:14px 0 0" },
          `Covariates: ${kinds.join(", ")}.`,
          page.deepnull_covariates.length ? ` The prediction also saw: ${page.deepnull_covariates.join(", ")}.` : "",
          page.dropped_covariates.length
            ? ` Left out as collinear or constant: ${page.dropped_covariates.map((c) => c.name ?? c).join(", ")}.`
            : "",
        )
      : null,
    reasons.length
      ? [
          dn.el("h3", {}, "Variants that were not tested"),
          dn.table(
            [
              { key: "reason", label: "Reason", cell: (r) => r.reason.replaceAll("_", " ") },
              { key: "arm", label: "Arm", cell: (r) => dn.names[r.arm] },
              { key: "count", label: "Variants", number: true, value: (r) => r.count, cell: (r) => dn.count(r.count) },
            ],
            { caption: "Variants that were not tested", rows: reasons },
          ),
        ]
      : null,
  );
};

dn.studyTiles = (page) => {
  const { arms, comparison: c, learned } = page,
    both = arms.baseline && arms.deepnull,
    tiles = [];
  if (both)
    tiles.push(
      dn.tile(
        "Loci, baseline → DeepNull",
        `${dn.count(arms.baseline.loci)} → ${dn.count(arms.deepnull.loci)}`,
        c &&
          dn.el(
            "span",
            {},
            `${c.loci.shared} shared, `,
            dn.el("span", { class: c.loci.gained ? "gained" : null }, `${c.loci.gained} gained`),
            ", ",
            dn.el("span", { class: c.loci.lost ? "lost" : null }, `${c.loci.lost} lost`),
          ),
      ),
    );
  else for (const a of Object.keys(arms)) tiles.push(dn.tile(`Loci, ${dn.names[a]}`, dn.count(arms[a].loci)));
  const accuracy = learned?.accuracy;
  if (accuracy) {
    const m = "r2" in accuracy.linear ? "r2" : "r2_mcfadden";
    tiles.push(
      dn.tile(
        `${dn.explained(m)} of covariates`,
        `${dn.fixed(accuracy.linear[m], 3)} → ${dn.fixed(accuracy.deepnull[m], 3)}`,
        `linear → DeepNull, out of fold${"auc" in accuracy.linear ? `; AUC ${dn.fixed(accuracy.linear.auc, 3)} → ${dn.fixed(accuracy.deepnull.auc, 3)}` : ""}`,
      ),
    );
  }
  if (c && dn.isNumber(c.effective_sample_size_gained))
    tiles.push(
      dn.tile(
        "Effective sample size",
        dn.signed(c.effective_sample_size_gained, dn.percent(c.effective_sample_size_gained)),
        dn.isNumber(c.chi2_ratio_expected)
          ? `χ² at the loci; ${dn.signed(c.chi2_ratio_expected - 1, dn.percent(c.chi2_ratio_expected - 1))} expected from R²`
          : "ratio of mean χ² at the loci",
      ),
    );
  tiles.push(
    dn.tile(
      "λ",
      Object.keys(arms)
        .sort()
        .map((a) => dn.fixed(arms[a].lambda_gc, 3))
        .join(" → "),
      both ? "baseline → DeepNull" : "at the median",
    ),
  );
  const w = page.whole_genome;
  if (w)
    tiles.push(
      dn.tile(
        "R² of the genome",
        Object.keys(arms)
          .sort()
          .map((a) => dn.fixed(w[a].r2_genome, 3))
          .join(" → "),
        "beyond the covariates, out of fold",
      ),
    );
  tiles.push(dn.tile("Variants tested", dn.count(Math.max(...Object.values(arms).map((a) => a.tested)))));
  return dn.el("div", { class: "tiles" }, tiles);
};

dn.pages.study = async (cohort, study) => {
  const row = dn.study(cohort, study);
  if (!row) throw new Error(`the run has no study '${study}' of a cohort '${cohort}'`);
  const page = await dn.load(`study/${cohort}/${study}`, `data/${cohort}/${study}.js`),
    about = page.about;
  const loci = dn.lociOf(page, row),
    counts = page.genome.counts,
    arms = Object.keys(page.arms);
  const failures = [
    ...new Set(
      Object.entries(page.arms)
        .filter(([, s]) => s.status === "failed")
        .map(([a, s]) => `${dn.names[a]}: failed at ${s.stage}: ${s.reason}`),
    ),
  ];
  const facts = [
    about.phenotype !== about.study ? `phenotype ${dn.short(about.phenotype, 90)}` : null,
    about.trait,
    about.trait === "quantitative" && about.transform && about.transform !== "none"
      ? about.transform.replaceAll("_", " ")
      : null,
    dn.people(about),
    dn.testModel(about.model),
  ]
    .filter(Boolean)
    .join(" · ");
  const drawn = page.genome.tested > 0;
  const binned = counts.binned
    ? `${dn.count(counts.named + counts.points)} of ${dn.count(page.genome.tested)} variants are drawn one by one${counts.binned_strong ? `; ${dn.count(counts.binned_strong)} more with p < 0.001 and` : ", all with p < 0.001 among them;"} the rest in cells of ${dn.kilobases(page.genome.cell)}. `
    : "";
  const key = (colour, text, ring) =>
    dn.el(
      "span",
      {},
      dn.el("i", { class: ring ? "ring" : null, style: ring ? `border-color:${colour}` : `background:${colour}` }),
      text,
    );
  return {
    title: study,
    nav: "index",
    body: [
      dn.el("p", { class: "crumbs" }, dn.link([], "Studies"), " / ", dn.link(["cohort", cohort], dn.short(cohort, 40))),
      dn.el("h1", {}, study),
      dn.el("p", { class: "facts" }, facts),
      failures.length
        ? dn.el(
            "div",
            { class: "notes bad" },
            dn.el("h2", {}, "This study failed"),
            dn.el(
              "ul",
              {},
              failures.map((f) => dn.el("li", {}, f)),
            ),
          )
        : null,
      page.warnings.length
        ? dn.el(
            "div",
            { class: "notes" },
            dn.el("h2", {}, "To know before you use it"),
            dn.el(
              "ul",
              {},
              page.warnings.map((w) => dn.el("li", {}, w)),
            ),
          )
        : null,
      dn.studyTiles(page),
      drawn
        ? dn.section(
            arms.length === 2 ? "Both arms along the genome" : "Along the genome",
            {
              from: arms.map((a) => `${a}/sumstats.tsv.gz`),
              id: "genome",
              note: `${binned}Drag to zoom, or hold Ctrl and turn the wheel; press a peak to see its region.`,
            },
            dn.miami(page, loci, (l) => {
              location.hash = dn.address("locus", cohort, study, l.region);
            }),
            dn.el(
              "div",
              { class: "keys" },
              page.arms.deepnull && key(dn.colours.alternate.deepnull[0], "DeepNull"),
              page.arms.baseline && key(dn.colours.alternate.baseline[0], "baseline"),
              arms.length === 2 && [
                key(dn.colours.gained, "locus gained", true),
                key(dn.colours.lost, "locus lost", true),
              ],
              dn.el(
                "span",
                {},
                dn.el("i", {
                  style: `border-radius:0;height:0;width:16px;border-top:2px dashed ${dn.colours.threshold}`,
                }),
                `p = ${dn.digits(page.settings.genome_wide)}`,
              ),
            ),
          )
        : null,
      dn.lociTable(page, row, loci),
      dn.qqSection(page),
      dn.learnedSection(page),
      dn.peopleSection(page),
    ].filter(Boolean),
  };
};
