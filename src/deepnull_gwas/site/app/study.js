/* The page of a study. */
"use strict";

dn.peopleSection = (page) => {
  const steps = page.accounting,
    most = Math.max(1, ...steps.map((s) => s.people + 0));
  const reasons = Object.keys(page.arms)
    .sort()
    .flatMap((a) => Object.entries(page.arms[a].untested || {}).map(([reason, count]) => ({ arm: a, reason, count })));
  const kinds = page.covariates.map((c) => c.name),
    dropped = Object.entries(page.dropped_covariates);
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
          dropped.length ? ` Left out: ${dropped.map(([name, why]) => `${name} (${why})`).join(", ")}.` : "",
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
        `${dn.lociOfArm(arms.baseline)} → ${dn.lociOfArm(arms.deepnull)}`,
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
  else for (const a of Object.keys(arms)) tiles.push(dn.tile(`Loci, ${dn.names[a]}`, dn.lociOfArm(arms[a])));
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
    dn.testModel(about),
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
              page.warnings.map((w) =>
                dn.el("li", {}, w.what, w.do && dn.el("span", { class: "do" }, `What to do: ${w.do}`)),
              ),
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
              note: `${binned}Drag to zoom, or hold Ctrl and turn the wheel${row.regions.length ? "; press a peak to see its region" : ""}.`,
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
