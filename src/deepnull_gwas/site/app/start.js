/* The start: the index is there, pages can be shown. */
"use strict";

(() => {
  dn.index = deepnullSite.data.get("index");
  const nav = document.getElementById("nav");
  nav.append(dn.el("a", { href: "#/", "data-page": "index" }, "Studies"));
  for (const cohort of dn.index.cohorts.slice(0, 4)) {
    nav.append(
      dn.el(
        "a",
        { href: dn.address("cohort", cohort), "data-page": `cohort/${cohort}`, title: cohort },
        `Cohort ${dn.short(cohort, 18)}`,
      ),
    );
  }
  nav.append(dn.el("a", { href: "#/run", "data-page": "run" }, "Run"));
  document
    .getElementById("foot")
    .append(
      `deepnull-gwas ${dn.index.version}. All numbers are from the tables of the run, named at each part; nothing is sent anywhere.`,
    );
  const skip = document.getElementById("skip"),
    main = document.getElementById("main");
  skip.addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  window.addEventListener("hashchange", dn.route);
  dn.route();
})();
