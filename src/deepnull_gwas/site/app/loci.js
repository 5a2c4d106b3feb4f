/* The loci of a study. */
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
    two && loci.length > 1 ? dn.armsFigures(page, loci) : null,
    dn.table(columns, {
      caption: `Loci of ${about.study}`,
      rows: [...loci].sort((a, b) => largest(b) - largest(a)),
      most: window.innerWidth < 760 ? 10 : 50,
      empty: "no variant reaches genome-wide significance",
    }),
  );
};

/** Return two figures of the lead variants, baseline against DeepNull: -log10 p, and effects. */
dn.armsFigures = (page, loci) => {
  const line = -Math.log10(page.settings.genome_wide);
  const figure = (what, unit, key, cuts) => {
    const shown = loci.filter((l) => dn.isNumber(l[key].baseline) && dn.isNumber(l[key].deepnull)),
      ends = dn.range([...shown.flatMap((l) => [l[key].baseline, l[key].deepnull]), ...cuts], 0.05);
    return dn.figure(
      {
        label: `${what} of ${dn.plural(shown.length, "lead variant")}, DeepNull against baseline`,
        title: what,
        width: 330,
        height: 270,
        x: ends,
        y: ends,
        xlabel: `baseline, ${unit}`,
        ylabel: `DeepNull, ${unit}`,
        left: 58,
        bottom: 40,
        format: (v) => dn.digits(v, 3),
      },
      ({ sx, sy, plot }) => {
        const lines = [[ends[0], ends[0], ends[1], ends[1], dn.colours.line, null]];
        for (const c of cuts) {
          lines.push([c, ends[0], c, ends[1], dn.colours.threshold, "4 3"]);
          lines.push([ends[0], c, ends[1], c, dn.colours.threshold, "4 3"]);
        }
        for (const [x1, y1, x2, y2, stroke, dash] of lines) {
          const place = { x1: sx(x1), y1: sy(y1), x2: sx(x2), y2: sy(y2) };
          plot.append(dn.svg("line", { ...place, stroke, "stroke-dasharray": dash }));
        }
        for (const l of shown) {
          const place = { cx: sx(l[key].baseline), cy: sy(l[key].deepnull), r: 4.2 };
          const text = `${l.label}, ${l.verdict}: ${dn.digits(l[key].baseline)} → ${dn.digits(l[key].deepnull)}`;
          const look = { fill: dn.colours[l.verdict], "fill-opacity": 0.8, stroke: "#fff", "stroke-width": 0.8 };
          plot.append(dn.svg("circle", { ...place, ...look }, dn.svg("title", {}, text)));
        }
      },
    );
  };
  const strength = figure("p-values at the lead variants", "−log₁₀(p)", "p", [line]);
  const effects = figure(
    "Effects at the lead variants",
    page.about.trait === "binary" ? "log odds ratio" : "β",
    "beta",
    [],
  );
  const keys = ["shared", "gained", "lost"].map((v) =>
    dn.el("span", {}, dn.el("i", { style: `background:${dn.colours[v]}` }), v),
  );
  return dn.el("div", { class: "figures" }, strength, effects, dn.el("div", { class: "keys" }, keys));
};
