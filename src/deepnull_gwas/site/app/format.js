/* Numbers and words as people read them. */
"use strict";

dn.names = {
  baseline: "baseline",
  deepnull: "DeepNull",
  linear: "linear",
  second_order: "second order",
  splines: "splines",
  trees: "trees",
  network: "network",
  original: "original network",
  gaussian_process: "Gaussian process",
};
dn.colours = {
  baseline: "#56718f",
  deepnull: "#d55e00",
  gained: "#009e73",
  lost: "#b0508c",
  shared: "#5b5b5b",
  single: "#5b5b5b",
  line: "#9a9a94",
  grid: "#ecebe6",
  text: "#2b2b28",
  faint: "#6b6b64",
  threshold: "#b2182b",
  alternate: { baseline: ["#34495e", "#8aa1b8"], deepnull: ["#b34700", "#f0a868"] },
};

const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
dn.power = (exponent) => "10" + [...String(exponent)].map((c) => SUPERSCRIPT[c]).join("");

dn.isNumber = (v) => typeof v === "number" && Number.isFinite(v);
/** 3690 -> 3,690 */
dn.count = (v) => (dn.isNumber(v) ? v.toLocaleString("en-GB") : "–");
/** With a number of decimals; a proper minus. */
dn.fixed = (v, digits = 2) => (dn.isNumber(v) ? v.toFixed(digits).replace("-", "−") : "–");
/** With significant digits, without an exponent where it is readable. */
dn.digits = (v, digits = 3) => {
  if (!dn.isNumber(v)) return "–";
  const a = Math.abs(v);
  if (a !== 0 && (a < 1e-4 || a >= 1e7)) {
    const [m, e] = v.toExponential(digits - 1).split("e");
    return `${String(Number(m)).replace("-", "−")} × ${dn.power(Number(e))}`;
  }
  return Number(v.toPrecision(digits)).toLocaleString("en-GB", { maximumSignificantDigits: digits }).replace("-", "−");
};
/** An effect: always as many digits, so that columns line up. */
dn.effect = (v, digits = 3) =>
  !dn.isNumber(v)
    ? "–"
    : (Math.abs(v) >= 1e-4 && Math.abs(v) < 1e6) || v === 0
      ? (Math.abs(v) >= 100 ? v.toFixed(1) : v.toPrecision(digits)).replace("-", "−")
      : dn.digits(v, digits);
dn.percent = (v, digits = 1) => (dn.isNumber(v) ? `${dn.fixed(100 * v, digits)} %` : "–");
dn.signed = (v, text) => (dn.isNumber(v) ? (v > 0 ? "+" : "") + text : "–");
/** -log10 p -> 3.6 × 10⁻²³ */
dn.p = (x) => {
  if (!dn.isNumber(x)) return "–";
  if (x < 2) return dn.digits(10 ** -x, 2);
  let exponent = Math.ceil(x),
    mantissa = 10 ** (exponent - x);
  if (mantissa >= 9.95) {
    mantissa = 1;
    exponent -= 1;
  }
  return `${mantissa.toFixed(1)} × ${dn.power(-exponent)}`;
};
dn.megabases = (bp) => (bp / 1e6).toLocaleString("en-GB", { maximumFractionDigits: 3 });
dn.kilobases = (bp) =>
  bp < 1000
    ? `${dn.count(bp)} bp`
    : `${(bp / 1000).toLocaleString("en-GB", { maximumFractionDigits: bp < 1e5 ? 1 : 0 })} kb`;
dn.chromosome = (code) => ({ 23: "X", 24: "Y", 25: "MT" })[code] || String(code);
dn.place = (code, position) => `${dn.chromosome(code)}:${dn.count(position)}`;
dn.plural = (n, one, many) => `${dn.count(n)} ${n === 1 ? one : many || one + "s"}`;
/** Shorten the middle of a long name; the whole is in its title. */
dn.short = (text, most = 40) => {
  text = String(text ?? "");
  return text.length <= most
    ? text
    : `${text.slice(0, Math.ceil(most * 0.6) - 1)}…${text.slice(-Math.floor(most * 0.4))}`;
};
dn.named = (text, most = 40) =>
  dn.el("span", { title: String(text ?? "").length > most ? text : null }, dn.short(text, most));
dn.duration = (s) =>
  s < 60
    ? `${dn.fixed(s, s < 10 ? 1 : 0)} s`
    : s < 3600
      ? `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`
      : `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`;
dn.bytesText = (b) =>
  b < 1e3
    ? `${b} B`
    : b < 1e6
      ? `${dn.fixed(b / 1e3, 1)} kB`
      : b < 1e9
        ? `${dn.fixed(b / 1e6, 1)} MB`
        : `${dn.fixed(b / 1e9, 1)} GB`;
/** Loci that an arm found; a failed one has looked at none. */
dn.lociOfArm = (arm) => (arm.status === "failed" ? "failed" : dn.count(arm.loci));
dn.explained = (measure) => (measure === "r2_mcfadden" ? "McFadden's R²" : measure === "auc" ? "AUC" : "R²");
dn.modelName = (name) => dn.names[name] || name.replaceAll("_", " ");
dn.testModel = ({ model, trait }) =>
  `${trait === "binary" ? "logistic" : "linear"} tests${model === "whole_genome" ? " given the whole genome" : ""}`;
dn.people = (about) =>
  about.cases === null || about.cases === undefined
    ? `n = ${dn.count(about.n)}`
    : `${dn.count(about.cases)} cases, ${dn.count(about.n - about.cases)} controls`;
