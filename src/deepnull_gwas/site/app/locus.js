/* The page of a locus. */
"use strict";

dn.locusTable = (locus, plot, onreference) => {
  const arms = ["baseline", "deepnull"].filter((a) => locus.arms[a]),
    n = locus.position.length,
    stored = new Set(locus.references);
  const strength = (i) => Math.max(...arms.map((a) => locus.arms[a].neg_log_10_p[i] ?? 0));
  const rows = Array.from({ length: n }, (_, i) => i).sort((a, b) => strength(b) - strength(a) || a - b);
  const columns = [
    {
      key: "id",
      label: "Variant",
      value: (i) => locus.id[i],
      cell: (i) =>
        dn.el(
          "div",
          { class: "name" },
          dn.named(locus.id[i], 30),
          dn.el("small", {}, `${dn.short(locus.effect_allele[i], 12)} against ${dn.short(locus.other_allele[i], 12)}`),
        ),
    },
    {
      key: "position",
      label: "Position",
      number: true,
      value: (i) => locus.position[i],
      cell: (i) => dn.count(locus.position[i]),
    },
    {
      key: "frequency",
      label: "Frequency",
      number: true,
      title: "Of the effect allele among the study's people",
      value: (i) => locus.frequency[i],
      cell: (i) => dn.digits(locus.frequency[i]),
    },
    {
      key: "r2",
      label: "r²",
      number: true,
      title: "To the reference variant, from the study's own people",
      value: (i) => plot.r2(i),
      cell: (i) => dn.fixed(plot.r2(i), 3),
    },
    ...arms.flatMap((a) => [
      {
        key: `beta_${a}`,
        label: `β ${dn.names[a]}`,
        number: true,
        value: (i) => locus.arms[a].beta[i],
        cell: (i) =>
          dn.el(
            "span",
            {},
            dn.effect(locus.arms[a].beta[i]),
            dn.el("small", {}, `SE ${dn.effect(locus.arms[a].se[i])}`),
          ),
      },
      {
        key: `p_${a}`,
        label: `p ${dn.names[a]}`,
        number: true,
        value: (i) => locus.arms[a].neg_log_10_p[i],
        cell: (i) => dn.p(locus.arms[a].neg_log_10_p[i]),
      },
    ]),
    {
      key: "use",
      label: "Reference",
      cell: (i) =>
        stored.has(i)
          ? dn.el(
              "button",
              {
                type: "button",
                "aria-label": `Make ${dn.short(locus.id[i], 40)} the reference of r²`,
                onclick: () => onreference(i),
              },
              "use",
            )
          : "",
    },
  ];
  return dn.table(columns, {
    caption: "Variants of the region",
    rows,
    most: window.innerWidth < 760 ? 5 : 15,
    empty: "no variant",
  });
};

dn.pages.locus = async (cohort, study, name) => {
  const row = dn.study(cohort, study),
    at = row ? row.regions.findIndex((r) => r.name === name) : -1;
  if (at < 0) throw new Error(`the run has no region '${name}' of study '${study}'`);
  const locus = await dn.load(`locus/${cohort}/${study}/${name}`, `data/${cohort}/${study}/${name}.js`);
  const code = row.regions[at].code,
    page = { ...locus, chromosome: code },
    lead = locus.lead,
    arms = ["baseline", "deepnull"].filter((a) => locus.arms[a]);
  const order = row.regions
      .map((r, i) => [r.code, r.position, i])
      .sort((a, b) => a[0] - b[0] || a[1] - b[1])
      .map((t) => row.regions[t[2]]),
    here = order.findIndex((r) => r.name === name);
  const reference = dn.el("strong", {}, dn.named(locus.id[locus.references[0]] ?? "", 40));
  const choose = (i) => {
    if (plot.setReference(i)) {
      reference.replaceChildren(dn.named(locus.id[i], 40));
      table.show(table.rows);
      dn.say(`r² is to ${locus.id[i]}`);
    }
  };
  const plot = dn.regionalPlot(
    page,
    { genome_wide: row.genome_wide, build: row.genome_build || "positions of the input" },
    choose,
  );
  const table = dn.locusTable(page, plot, choose);
  table.rows = Array.from({ length: locus.position.length }, (_, i) => i).sort(
    (a, b) =>
      Math.max(...arms.map((x) => locus.arms[x].neg_log_10_p[b] ?? 0)) -
        Math.max(...arms.map((x) => locus.arms[x].neg_log_10_p[a] ?? 0)) || a - b,
  );
  // as in the table of loci
  const gene = locus.nearest_gene,
    near = !gene ? "" : `${locus.gene_distance > 0 ? "near " : ""}${dn.short(gene, 60)}: `;
  const header = [
    "chromosome",
    "base_pair_location",
    "id",
    "effect_allele",
    "other_allele",
    "effect_allele_frequency",
    "n",
    ...arms.flatMap((a) => [`beta_${a}`, `standard_error_${a}`, `neg_log_10_p_value_${a}`]),
    "r2_to_reference",
  ];
  const save = () =>
    dn.download(
      `${cohort}_${study}_${name}.csv`,
      header,
      locus.position.map((_, i) => [
        dn.chromosome(code),
        locus.position[i],
        locus.id[i],
        locus.effect_allele[i],
        locus.other_allele[i],
        locus.frequency[i],
        locus.n[i],
        ...arms.flatMap((a) => [locus.arms[a].beta[i], locus.arms[a].se[i], locus.arms[a].neg_log_10_p[i]]),
        plot.r2(i),
      ]),
    );
  return {
    title: `${study}, ${dn.place(code, locus.position[lead])}`,
    nav: "index",
    body: [
      dn.el(
        "p",
        { class: "crumbs" },
        dn.link([], "Studies"),
        " / ",
        dn.link(["study", cohort, study], dn.short(study, 50)),
      ),
      dn.el("h1", {}, near, dn.place(code, locus.position[lead])),
      dn.el(
        "p",
        { class: "facts" },
        `Lead variant ${dn.short(locus.id[lead], 60)}, ${dn.short(locus.effect_allele[lead], 20)} against ${dn.short(locus.other_allele[lead], 20)}, frequency ${dn.digits(locus.frequency[lead])}, n = ${dn.count(locus.n[lead])}`,
      ),
      dn.el(
        "div",
        { class: "tiles" },
        dn.tile(
          "Verdict",
          dn.verdict(locus.verdict),
          {
            shared: "found by both arms",
            gained: "found by DeepNull only",
            lost: "found by the baseline only",
            single: "one arm was run",
          }[locus.verdict],
        ),
        ...arms.map((a) =>
          dn.tile(
            `p, ${dn.names[a]}`,
            dn.p(locus.arms[a].neg_log_10_p[lead]),
            `β = ${dn.effect(locus.arms[a].beta[lead])} (SE ${dn.effect(locus.arms[a].se[lead])})`,
          ),
        ),
        arms.length === 2 && dn.isNumber(locus.arms.baseline.se[lead]) && dn.isNumber(locus.arms.deepnull.se[lead])
          ? dn.tile(
              "Standard error",
              dn.signed(
                locus.arms.deepnull.se[lead] / locus.arms.baseline.se[lead] - 1,
                dn.percent(locus.arms.deepnull.se[lead] / locus.arms.baseline.se[lead] - 1),
              ),
              "DeepNull against baseline",
            )
          : null,
      ),
      dn.section(
        "The region",
        {
          from: ["regions.json.gz"],
          id: "region",
          note: `± ${dn.count(locus.window_kb)} kb around the lead variant. r² is from the study's own people; press another of the strongest variants to measure it from there.`,
        },
        dn.el(
          "div",
          { class: "tools" },
          dn.el("span", {}, "r² to ", reference),
          dn.el("span", { class: "found" }, `region ${here + 1} of ${order.length}`),
          here > 0 &&
            dn.el(
              "a",
              { href: dn.address("locus", cohort, study, order[here - 1].name), "aria-label": "Region before" },
              "← before",
            ),
          here < order.length - 1 &&
            dn.el(
              "a",
              { href: dn.address("locus", cohort, study, order[here + 1].name), "aria-label": "Next region" },
              "next →",
            ),
        ),
        plot,
        dn.el(
          "div",
          { class: "keys" },
          dn.el(
            "span",
            {},
            dn.el("i", { style: "background:#6a2c91;border-radius:1px;transform:rotate(45deg)" }),
            "reference",
          ),
          dn.r2Bins.map(([, c, text]) => dn.el("span", {}, dn.el("i", { style: `background:${c}` }), `r² ${text}`)),
          dn.el("span", {}, dn.el("i", { style: "background:#b9b7b0" }), "not known"),
        ),
      ),
      dn.section(
        "Variants of the region",
        { from: ["regions.json.gz"], id: "variants" },
        dn.el(
          "div",
          { class: "tools" },
          dn.el("span", { class: "found" }, dn.plural(locus.position.length, "variant")),
          dn.saveButton("CSV", save),
        ),
        table,
      ),
    ],
  };
};
