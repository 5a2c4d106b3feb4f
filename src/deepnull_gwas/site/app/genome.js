/* The genome as a line: where its chromosomes and variants lie, and what is said of a variant. */
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
