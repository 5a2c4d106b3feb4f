/* The page of a cohort. */
"use strict";

dn.stepNames = {
  sample_table: "in the sample table",
  variant_call_rate_first: "call rate of variants, first",
  sample_call_rate: "call rate of people",
  sex_check: "recorded sex",
  heterozygosity_f: "autosomal F",
  heterozygosity_sd: "autosomal F, standard deviations",
  variant_call_rate: "call rate of variants",
  no_call: "any call",
  monomorphic: "both alleles",
  duplicate_variants: "no duplicate variants",
  duplicate_ids: "unique IDs",
  maf: "allele frequency",
  mac: "allele count",
  hwe_p: "Hardy-Weinberg",
};

dn.flowTable = (flow, unit) => {
  const rows = flow.filter((s) => s.unit === unit),
    most = Math.max(1, ...rows.map((s) => s.before));
  const all = rows.length
    ? [{ step: "came in", before: null, removed: null, after: rows[0].before, rule: "" }, ...rows]
    : [];
  return dn.table(
    [
      {
        key: "step",
        label: unit === "people" ? "People" : "Variants",
        cell: (s) => dn.el("span", {}, dn.stepNames[s.step] || s.step, s.rule && dn.el("small", {}, s.rule)),
      },
      {
        key: "removed",
        label: "Left out",
        number: true,
        cell: (s) => (s.removed === null ? "" : s.removed ? `−${dn.count(s.removed)}` : "0"),
      },
      { key: "after", label: "Left", number: true, cell: (s) => dn.count(s.after) },
      {
        key: "bar",
        label: "",
        cell: (s) =>
          dn.el(
            "span",
            { class: `bar ${unit}`, "aria-hidden": "true" },
            dn.el("i", { style: `width:${((110 * s.after) / most).toFixed(1)}px` }),
          ),
      },
    ],
    { caption: `Flow of ${unit}`, rows: all, empty: "no filter" },
  );
};

dn.planeFigure = (plane) => {
  const most = Math.max(...plane.counts),
    side = 80;
  const scale = (c) => Math.log(c + 1) / Math.log(most + 1);
  return dn.figure(
    {
      label: `People by ${plane.names.join(" and ")}: ${dn.count(plane.counts.reduce((a, b) => a + b, 0))} people, up to ${dn.count(most)} in a cell`,
      title: `${plane.names[0]} and ${plane.names[1]}`,
      width: 330,
      height: 300,
      x: plane.x,
      y: plane.y,
      xlabel: plane.names[0],
      ylabel: plane.names[1],
      left: 58,
      bottom: 40,
      format: (v) => dn.digits(v, 2),
      xticks: dn.ticks(plane.x[0], plane.x[1], 4),
    },
    ({ plot, left, top, w, h }) => {
      plane.cells.forEach((cell, i) => {
        const a = Math.floor(cell / side),
          b = cell % side,
          t = scale(plane.counts[i]);
        plot.append(
          dn.svg("rect", {
            x: (left + (a / side) * w).toFixed(2),
            y: (top + h - ((b + 1) / side) * h).toFixed(2),
            width: (w / side + 0.3).toFixed(2),
            height: (h / side + 0.3).toFixed(2),
            fill: `rgb(${[186, 205, 224].map((v, k) => Math.round(v + ([22, 52, 92][k] - v) * t)).join(",")})`,
          }),
        );
      });
    },
  );
};

dn.pages.cohort = async (cohort) => {
  if (!dn.index.cohorts.includes(cohort)) throw new Error(`the run has no cohort '${cohort}'`);
  const page = await dn.load(`cohort/${cohort}`, `data/${cohort}.js`),
    g = page.genotypes,
    of = (unit) => page.flow.filter((s) => s.unit === unit);
  const studies = dn.index.studies.filter((s) => s.cohort === cohort),
    left = (unit) => of(unit).at(-1)?.after;
  const eigen = page.eigenvalues || [],
    strat = page.stratification || [];
  const relation = (r) => r.replaceAll("_", " ");
  return {
    title: `Cohort ${cohort}`,
    nav: `cohort/${cohort}`,
    body: [
      dn.el("p", { class: "crumbs" }, dn.link([], "Studies")),
      dn.el("h1", {}, `Cohort ${cohort}`),
      dn.el(
        "p",
        { class: "facts" },
        `${dn.count(g.samples)} people and ${dn.count(g.variants)} variants in the genotypes (${g.format}, ${g.genome_build}); ${dn.plural(studies.length, "study", "studies")}: `,
        studies.slice(0, 12).map((s, i) => [i ? ", " : "", dn.link(["study", cohort, s.study], dn.short(s.study, 30))]),
        studies.length > 12 ? " and more" : "",
      ),
      dn.el(
        "div",
        { class: "tiles" },
        dn.tile("People who passed", dn.count(left("people")), `of ${dn.count(g.samples)}`),
        dn.tile("Variants that passed", dn.count(left("variants")), `of ${dn.count(g.variants)}`),
        page.relatives
          ? dn.tile(
              "Related pairs",
              dn.count(page.relatives.pairs),
              Object.entries(page.relatives.relations)
                .map(([r, n]) => `${dn.count(n)} ${relation(r)}`)
                .join(", "),
            )
          : null,
        strat.length
          ? dn.tile(
              "λ of pruned variants",
              dn.fixed(Math.max(...strat.map((s) => s.lambda_with_pcs ?? 0)), 3),
              "largest of the studies, with their components",
            )
          : null,
      ),
      dn.section(
        "From what came in to what is analysed",
        { from: ["qc/flow.tsv"], id: "flow" },
        dn.el(
          "div",
          { class: "two" },
          dn.el("div", {}, dn.flowTable(page.flow, "people")),
          dn.el("div", {}, dn.flowTable(page.flow, "variants")),
        ),
      ),
      dn.section(
        "Quality control",
        {
          from: ["qc/variants.parquet", "qc/samples.parquet"],
          id: "qc",
          note: "Before the filters; dashed lines are the cut-offs.",
        },
        dn.el(
          "div",
          { class: "figures" },
          page.histograms.map((h) =>
            dn.histogram({ ...h, what: `${h.unit === "people" ? "People" : "Variants"}: ${h.what}` }),
          ),
        ),
      ),
      eigen.length
        ? dn.section(
            "Population structure",
            {
              from: ["structure/pcs.parquet", "structure/eigenvalues.tsv"],
              id: "structure",
              note: "How many people lie where; no single person is stored in this page, only counts of cells.",
            },
            dn.el(
              "div",
              { class: "figures" },
              page.planes.map(dn.planeFigure),
              dn.figure(
                {
                  label: `Eigenvalues: ${eigen.map((e) => dn.fixed(e.eigenvalue, 1)).join(", ")}`,
                  title: "Eigenvalues",
                  width: 330,
                  height: 300,
                  x: [0.5, eigen.length + 0.5],
                  y: [0, Math.max(...eigen.map((e) => e.eigenvalue)) * 1.06],
                  xlabel: "component",
                  ylabel: "eigenvalue",
                  xticks: dn.ticks(1, eigen.length, Math.min(10, eigen.length)).filter((t) => Number.isInteger(t)),
                  left: 52,
                  bottom: 40,
                },
                ({ sx, sy, plot }) => {
                  plot.append(
                    dn.svg("path", {
                      d: dn.path(eigen.map((e, i) => [sx(i + 1), sy(e.eigenvalue)])),
                      fill: "none",
                      stroke: dn.colours.baseline,
                      "stroke-width": 1.4,
                    }),
                    ...eigen.map((e, i) =>
                      dn.svg(
                        "circle",
                        { cx: sx(i + 1), cy: sy(e.eigenvalue), r: 3, fill: dn.colours.baseline },
                        dn.svg("title", {}, `${dn.percent(e.variance_explained, 2)} of the variance`),
                      ),
                    ),
                  );
                },
              ),
            ),
          )
        : null,
      page.relatives?.kinship
        ? dn.section(
            "Relatives",
            { from: ["structure/relatives.tsv"], id: "relatives" },
            dn.el(
              "div",
              { class: "figures" },
              dn.histogram({ ...page.relatives.kinship, what: "Kinship of the pairs" }, 420),
              dn.el(
                "div",
                { style: "min-width:240px" },
                dn.table(
                  [
                    { key: "r", label: "Relation", cell: (r) => relation(r[0]) },
                    { key: "n", label: "Pairs", number: true, cell: (r) => dn.count(r[1]) },
                  ],
                  { caption: "Related pairs", rows: Object.entries(page.relatives.relations) },
                ),
              ),
            ),
          )
        : null,
      strat.length
        ? dn.section(
            "Stratification",
            {
              from: ["structure/stratification.tsv"],
              id: "stratification",
              note: "Inflation of a linear test of pruned variants, without and with principal components, and how much of the phenotype covariates and components explain.",
            },
            dn.table(
              [
                {
                  key: "study",
                  label: "Study",
                  value: (s) => s.study,
                  cell: (s) => dn.link(["study", cohort, s.study], dn.short(s.study, 40)),
                },
                { key: "n", label: "People", number: true, value: (s) => s.n, cell: (s) => dn.count(s.n) },
                {
                  key: "a",
                  label: "λ without components",
                  number: true,
                  value: (s) => s.lambda_without_pcs,
                  cell: (s) => dn.fixed(s.lambda_without_pcs, 3),
                },
                {
                  key: "b",
                  label: "λ with the study's",
                  number: true,
                  value: (s) => s.lambda_with_pcs,
                  cell: (s) => dn.fixed(s.lambda_with_pcs, 3),
                },
                {
                  key: "c",
                  label: "λ with all",
                  number: true,
                  value: (s) => s.lambda_with_all,
                  cell: (s) => dn.fixed(s.lambda_with_all, 3),
                },
                {
                  key: "d",
                  label: "R² covariates",
                  number: true,
                  value: (s) => s.r2_covariates,
                  cell: (s) => dn.fixed(s.r2_covariates, 3),
                },
                {
                  key: "e",
                  label: "R² components",
                  number: true,
                  value: (s) => s.r2_pcs,
                  cell: (s) => dn.fixed(s.r2_pcs, 3),
                },
                {
                  key: "f",
                  label: "Strongest",
                  value: (s) => s.r2_strongest_pc,
                  cell: (s) => (s.strongest_pc ? `${s.strongest_pc} (R² ${dn.fixed(s.r2_strongest_pc, 3)})` : "–"),
                },
              ],
              { caption: "Stratification", rows: strat },
            ),
          )
        : null,
    ].filter(Boolean),
  };
};
