/* The page of the run: where the results came from, and what they took. */
"use strict";

dn.pages.run = async () => {
  const page = await dn.load("run", "data/run.js"),
    source = page.software["deepnull-gwas"],
    most = Math.max(1, ...page.rules.map((r) => r.seconds));
  const facts = [
    [
      "deepnull-gwas",
      `${source.version}; commit ${source.commit || "not known"}${source.changed_since_commit ? ", with changes since" : ""}; library ${source.library_sha256.slice(0, 16)}`,
    ],
    ["Snakemake, Python", `${page.software.snakemake}, ${page.software.python}`],
    ["Seed", String(page.seed)],
    ["Recorded", page.recorded],
    ["Machine", `${page.host.cpu}, ${page.host.cores} cores, ${dn.count(page.host.memory_mb)} MB; ${page.host.system}`],
    ["Configuration, SHA-256", page.config.sha256],
    ["Studies, SHA-256", page.studies.sha256],
  ];
  const files = (rows, caption) =>
    dn.table(
      [
        { key: "path", label: "File", value: (f) => f.path, cell: (f) => dn.el("code", {}, f.path) },
        { key: "bytes", label: "Size", number: true, value: (f) => f.bytes, cell: (f) => dn.bytesText(f.bytes) },
        { key: "sha", label: "SHA-256", wide: true, cell: (f) => dn.el("code", {}, f.sha256) },
      ],
      { caption, rows, most: 40 },
    );
  return {
    title: "Run",
    nav: "run",
    body: [
      dn.el("h1", {}, "Where these results came from"),
      dn.el(
        "p",
        { class: "lead" },
        "To repeat the run: ",
        dn.el("code", {}, "deepnull-gwas repeat provenance.json --directory NEW"),
      ),
      dn.section(
        "Record",
        { from: ["provenance.json"], id: "record" },
        dn.el(
          "dl",
          { class: "facts-list" },
          facts.map(([k, v]) => [dn.el("dt", {}, k), dn.el("dd", {}, v)]),
        ),
      ),
      dn.section(
        "Time and memory by step",
        { from: ["provenance.json"], id: "steps" },
        dn.table(
          [
            { key: "rule", label: "Step", value: (r) => r.rule, cell: (r) => dn.el("code", {}, r.rule) },
            { key: "jobs", label: "Jobs", number: true, value: (r) => r.jobs, cell: (r) => dn.count(r.jobs) },
            {
              key: "seconds",
              label: "Time in all",
              number: true,
              value: (r) => r.seconds,
              cell: (r) => dn.duration(r.seconds),
            },
            {
              key: "longest",
              label: "Longest job",
              number: true,
              value: (r) => r.longest_seconds,
              cell: (r) => dn.duration(r.longest_seconds),
            },
            {
              key: "peak",
              label: "Peak memory",
              number: true,
              value: (r) => r.peak_mb,
              cell: (r) => `${dn.count(Math.round(r.peak_mb))} MB`,
            },
            {
              key: "bar",
              label: "",
              cell: (r) =>
                dn.el(
                  "span",
                  { class: "bar", "aria-hidden": "true" },
                  dn.el("i", { style: `width:${((160 * r.seconds) / most).toFixed(1)}px` }),
                ),
            },
          ],
          { caption: "Time and memory by step", rows: page.rules, sort: ["seconds", true] },
        ),
      ),
      dn.section(
        "Configuration",
        { id: "configuration" },
        dn.el("details", {}, dn.el("summary", {}, "config"), dn.el("pre", { tabindex: "0" }, page.config.text)),
        dn.el(
          "details",
          {},
          dn.el("summary", {}, `studies: ${page.studies.path}`),
          dn.el("pre", { tabindex: "0" }, page.studies.text),
        ),
      ),
      page.inputs.length ? dn.section("Inputs", { id: "inputs" }, files(page.inputs, "Inputs")) : null,
      dn.section("Published files", { id: "published" }, files(page.published, "Published files")),
      dn.section(
        "Software",
        { id: "software" },
        dn.el(
          "details",
          {},
          dn.el("summary", {}, dn.plural(Object.keys(page.software.packages).length, "package")),
          dn.table(
            [
              { key: "p", label: "Package", cell: (r) => r[0] },
              { key: "v", label: "Version", cell: (r) => r[1] },
            ],
            { caption: "Packages", rows: Object.entries(page.software.packages), most: 500 },
          ),
        ),
      ),
    ].filter(Boolean),
  };
};
