/* The index: all studies of the run. */
"use strict";

/** Return a small Manhattan plot. */
dn.spark = (spark, threshold) => {
  if (!spark || !spark.arms) return "";
  const arm = spark.arms.deepnull ? "deepnull" : Object.keys(spark.arms)[0],
    values = spark.arms[arm];
  const height = 30,
    line = 10 * threshold,
    top = Math.max(line * 1.15, ...values);
  const paths = ["", ""];
  values.forEach((v, i) => {
    paths[spark.parity[i]] += `M${i + 0.5} ${height}v${-((v / top) * (height - 2)).toFixed(2)}`;
  });
  return dn.svg(
    "svg",
    { viewBox: `0 0 ${values.length} ${height}`, width: 150, height, class: "spark", "aria-hidden": "true" },
    paths.map((d, i) => dn.svg("path", { d, stroke: dn.colours.alternate[arm][i], "stroke-width": 1 })),
    dn.svg("line", {
      x1: 0,
      x2: values.length,
      y1: height - (line / top) * (height - 2),
      y2: height - (line / top) * (height - 2),
      stroke: dn.colours.threshold,
      "stroke-width": 0.6,
      "stroke-dasharray": "3 2",
    }),
  );
};

/** Return what became of a study, as a badge. */
dn.badge = (row) => {
  if (row.status === "failed") return dn.el("span", { class: "badge failed" }, "failed");
  if (row.warnings.length)
    return dn.el(
      "span",
      { class: "badge warning", title: row.warnings.join("\n") },
      dn.plural(row.warnings.length, "note"),
    );
  return null;
};

/** Return loci of both arms: 17 → 19, with gains and losses. */
dn.lociCell = (row) => {
  const loci = ["baseline", "deepnull"].filter((a) => row.arms[a]).map((a) => dn.lociOfArm(row.arms[a]));
  return dn.el(
    "span",
    {},
    loci.join(" → "),
    row.verdicts && row.verdicts.gained > 0 && dn.el("span", { class: "gained" }, ` +${row.verdicts.gained}`),
    row.verdicts && row.verdicts.lost > 0 && dn.el("span", { class: "lost" }, ` −${row.verdicts.lost}`),
  );
};

dn.indexColumns = () => {
  const has = (test) => dn.index.studies.some(test),
    arm = (row, a, key) => (row.arms[a] ? row.arms[a][key] : null);
  const best = (row) => Math.max(...Object.values(row.arms).map((a) => a.loci));
  const columns = [
    {
      key: "study",
      label: "Study",
      value: (r) => r.study,
      cell: (r) =>
        dn.el(
          "div",
          { class: "name" },
          dn.el("a", { href: dn.address("study", r.cohort, r.study) }, dn.short(r.study, 44)),
          dn.badge(r),
          r.phenotype !== r.study && dn.el("small", {}, dn.named(r.phenotype, 60)),
          r.status === "failed" && dn.el("small", { class: "reason" }, dn.named(`${r.stage}: ${r.reason}`, 120)),
        ),
    },
    { key: "trait", label: "Trait", value: (r) => r.trait, cell: (r) => r.trait },
    {
      key: "n",
      label: "People",
      number: true,
      title: "Analysed; of binary traits also the cases",
      value: (r) => r.n,
      cell: (r) =>
        dn.el("span", {}, dn.count(r.n), dn.isNumber(r.cases) && dn.el("small", {}, `${dn.count(r.cases)} cases`)),
    },
    { key: "spark", label: "Manhattan", cell: (r) => dn.spark(r.spark, -Math.log10(r.genome_wide)) },
    {
      key: "loci",
      label: "Loci",
      number: true,
      title: "Genome-wide significant loci, baseline → DeepNull; gained and lost",
      value: best,
      cell: dn.lociCell,
    },
  ];
  if (dn.index.cohorts.length > 1)
    columns.splice(1, 0, {
      key: "cohort",
      label: "Cohort",
      value: (r) => r.cohort,
      cell: (r) => dn.link(["cohort", r.cohort], dn.short(r.cohort, 20)),
    });
  if (has((r) => r.model === "whole_genome"))
    columns.splice(-2, 0, {
      key: "model",
      label: "Model",
      value: (r) => r.model,
      cell: (r) => (r.model === "whole_genome" ? "whole genome" : "linear"),
    });
  for (const a of ["baseline", "deepnull"]) {
    if (has((r) => r.arms[a]))
      columns.push({
        key: `lambda_${a}`,
        label: `λ ${dn.names[a]}`,
        number: true,
        title: "Genomic inflation factor at the median",
        value: (r) => arm(r, a, "lambda_gc"),
        cell: (r) => dn.fixed(arm(r, a, "lambda_gc"), 3),
      });
  }
  if (has((r) => r.explained)) {
    for (const [key, label] of [
      ["linear", "R² linear"],
      ["deepnull", "R² DeepNull"],
    ]) {
      columns.push({
        key: `r2_${key}`,
        label,
        number: true,
        title: "Explained by the covariates, out of fold; of binary traits McFadden's R²",
        value: (r) => (r.explained ? r.explained[key] : null),
        cell: (r) => dn.fixed(r.explained ? r.explained[key] : null, 3),
      });
    }
  }
  if (has((r) => r.r2_genome))
    columns.push({
      key: "r2_genome",
      label: "R² genome",
      number: true,
      title: "Explained by the genome beyond the covariates, out of fold, arm DeepNull where there is one",
      value: (r) => (r.r2_genome ? (r.r2_genome.deepnull ?? r.r2_genome.baseline) : null),
      cell: (r) => dn.fixed(r.r2_genome ? (r.r2_genome.deepnull ?? r.r2_genome.baseline) : null, 3),
    });
  if (has((r) => dn.isNumber(r.gained)))
    columns.push({
      key: "gained",
      label: "n gained",
      number: true,
      title: "Gain in effective sample size: ratio of the mean chi-squares at the loci, less 1",
      value: (r) => r.gained,
      cell: (r) => (dn.isNumber(r.gained) ? dn.signed(r.gained, dn.percent(r.gained)) : "–"),
    });
  return columns;
};

/** Return what the run found, in a sentence. */
dn.summary = () => {
  const rows = dn.index.studies,
    failed = rows.filter((r) => r.status === "failed").length;
  const sum = (f) => rows.reduce((a, r) => a + (f(r) || 0), 0),
    both = rows.filter((r) => r.verdicts);
  const words = [`${dn.plural(rows.length, "study", "studies")} in ${dn.plural(dn.index.cohorts.length, "cohort")}`];
  if (both.length)
    words.push(
      `${dn.plural(
        sum((r) => r.verdicts && r.verdicts.shared + r.verdicts.lost),
        "locus",
        "loci",
      )} with covariates entering linearly, ${dn.count(sum((r) => r.verdicts && r.verdicts.shared + r.verdicts.gained))} with DeepNull: ${dn.count(sum((r) => r.verdicts?.gained))} gained, ${dn.count(sum((r) => r.verdicts?.lost))} lost`,
    );
  if (failed) words.push(`${dn.plural(failed, "study", "studies")} failed`);
  return words.join("; ") + ".";
};

dn.pages.index = async () => {
  const rows = dn.index.studies;
  const table = dn.table(dn.indexColumns(), {
    caption: "All studies",
    rows,
    sort: rows.length > 10 ? ["loci", true] : null,
    empty: "no study fits",
  });
  const found = dn.el("span", { class: "found" }, dn.plural(rows.length, "study", "studies"));
  const filters = { text: "", kind: "all" };
  const text = new Map(
    rows.map((r) => [
      r,
      [r.study, r.cohort, r.phenotype, r.trait, r.reason, r.strongest?.name, ...r.warnings].join(" ").toLowerCase(),
    ]),
  );
  const kinds = {
    all: ["All", () => true],
    gained: ["With gains", (r) => r.verdicts?.gained > 0],
    lost: ["With losses", (r) => r.verdicts?.lost > 0],
    loci: ["With loci", (r) => Object.values(r.arms).some((a) => a.loci > 0)],
    notes: ["With notes", (r) => r.warnings.length > 0],
    failed: ["Failed", (r) => r.status === "failed"],
  };
  const apply = () => {
    const words = filters.text.toLowerCase().split(/\s+/).filter(Boolean);
    const some = rows.filter((r) => kinds[filters.kind][1](r) && words.every((w) => text.get(r).includes(w)));
    table.show(some);
    found.textContent = dn.plural(some.length, "study", "studies");
    dn.say(`${some.length} shown`);
  };
  const search = dn.el("input", {
    type: "search",
    id: "search",
    placeholder: "Search studies, genes, notes",
    autocomplete: "off",
    oninput: () => {
      filters.text = search.value;
      apply();
    },
  });
  const chips = Object.entries(kinds).map(([key, [label, fits]]) => {
    const n = rows.filter(fits).length;
    return n || key === "all"
      ? dn.el(
          "button",
          {
            type: "button",
            class: "chip",
            "aria-pressed": key === "all",
            onclick: (e) => {
              filters.kind = key;
              for (const c of e.currentTarget.parentNode.children)
                c.setAttribute("aria-pressed", c === e.currentTarget);
              apply();
            },
          },
          label,
          dn.el("small", {}, n),
        )
      : null;
  });
  const columns = [
    "cohort",
    "study",
    "phenotype",
    "trait",
    "status",
    "reason",
    "n",
    "cases",
    "model",
    "lambda_gc_baseline",
    "lambda_gc_deepnull",
    "loci_baseline",
    "loci_deepnull",
    "loci_shared",
    "loci_gained",
    "loci_lost",
    "explained_measure",
    "explained_linear",
    "explained_deepnull",
    "effective_sample_size_gained_fraction",
  ];
  const csv = (r) => [
    r.cohort,
    r.study,
    r.phenotype,
    r.trait,
    r.status,
    r.reason,
    r.n,
    r.cases,
    r.model,
    r.arms.baseline?.lambda_gc,
    r.arms.deepnull?.lambda_gc,
    r.arms.baseline?.loci,
    r.arms.deepnull?.loci,
    r.verdicts?.shared,
    r.verdicts?.gained,
    r.verdicts?.lost,
    r.explained?.measure,
    r.explained?.linear,
    r.explained?.deepnull,
    r.gained,
  ];
  return {
    title: "Studies",
    nav: "index",
    body: [
      dn.el("h1", {}, "Genome-wide association, with and without DeepNull"),
      dn.el("p", { class: "lead" }, dn.summary()),
      dn.el(
        "section",
        { class: "card", "aria-label": "Studies" },
        dn.el(
          "div",
          { class: "tools" },
          dn.el("label", { for: "search", class: "unseen" }, "Search"),
          search,
          dn.el("div", { class: "chips", role: "group", "aria-label": "Which studies" }, chips),
          found,
          dn.saveButton("CSV", () => dn.download("studies.csv", columns, rows.map(csv))),
        ),
        table,
      ),
    ],
  };
};
