"use strict";
// What happens when: filters, axes, lasso and clicks lead to one drawing of the explorer.

const Report = {}; // what is drawn now, for whoever looks at the page from outside

(() => {
  const get = (id) => document.getElementById(id);
  const checked = (name) => document.querySelector(`input[name="${name}"]:checked`).value;
  let matching = []; // rows that match the filters
  let selected = null; // of them, those that a lasso or box kept; null: all
  let drawing = 0;

  const shownRows = () => (selected ? matching.filter((row) => selected.has(row)) : matching);

  // Lines go through what is shown: all that match, or what the lasso kept of it.
  function addLines(facet, through) {
    const kept = [...facet.looks].map(([number, points]) => {
      const mine = points.rows.map((row, i) => i).filter((i) => !selected || selected.has(points.rows[i]));
      return { look: Store.looks[number], x: mine.map((i) => points.x[i]), y: mine.map((i) => points.y[i]) };
    });
    if (through === "none") facet.lines = [];
    else if (through === "panel") {
      facet.lines = [{ look: null, fit: Fit.line(kept.flatMap((one) => one.x), kept.flatMap((one) => one.y)) }];
    } else facet.lines = kept.map(({ look, x, y }) => ({ look, fit: Fit.line(x, y) }));
  }

  function say(facets, hidden) {
    const count = (status) => matching.filter((row) => Store.value("status", row) === status).length;
    const n = facets.reduce((sum, facet) => sum + facet.n, 0);
    const texts = [`${n.toLocaleString("en")} points of ${matching.length.toLocaleString("en")} runs that match (${Store.n.toLocaleString("en")} in all); ${count("diverged")} diverged, ${count("failed")} failed.`];
    if (selected) texts.push(`${shownRows().length.toLocaleString("en")} are selected: lines and CSV are of these.`);
    if (hidden.length) texts.push(`The first ${facets.length} of ${facets.length + hidden.length} panels are drawn: choose fewer datasets or test environments.`);
    if (!n) texts.push("No run with scores matches: widen the filters.");
    get("shown").textContent = texts.join(" ");
    get("clear").hidden = !selected;
  }

  // What a reader must know about the runs that were pooled, and of which panels where not of all.
  function remarks(facets) {
    const where = new Map();
    for (const { panel } of facets) for (const remark of panel.remarks) where.set(remark, [...(where.get(remark) || []), panel.title]);
    const told = [...where].map(([remark, titles]) => (titles.length === facets.length ? remark : `${remark} (${titles.join("; ")})`));
    get("remarks").textContent = told.length ? `Of these runs: ${told.join("; ")}.` : "";
  }

  function draw() {
    const axis = checked("axis");
    const { facets, hidden } = Facets.group(matching, axis);
    Facets.setRanges(facets, axis);
    for (const facet of facets) addLines(facet, get("line").value);
    document.querySelectorAll(".axis-name").forEach((node) => { node.textContent = axis; });
    say(facets, hidden);
    remarks(facets);
    Listing.fits(facets);
    Report.facets = facets;
    fillListing();
    return Scatter.draw(facets, { axis, drag: checked("drag"), selected });
  }

  // Events that follow one another closely lead to one drawing.
  function later() {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(draw);
  }

  function fillListing() {
    if (get("listing-fold").open) Listing.runs(shownRows(), showRun);
  }

  function filter() {
    matching = Filters.rows();
    selected = null;
    later();
  }

  function showRun(row) {
    const heading = Run.show(row);
    get("run").scrollIntoView({ block: "nearest" });
    heading.focus({ preventScroll: true });
  }

  function select(rows) {
    selected = rows.length ? new Set(rows) : null;
    later();
  }

  function find() {
    const text = get("find").value.trim();
    const { levels, codes } = Store.columns.run;
    const found = levels.filter((run) => text && run.startsWith(text));
    if (found.length === 1) Run.show(codes.indexOf(levels.indexOf(found[0])));
  }

  function listen() {
    Filters.form.addEventListener("input", filter);
    get("reset").addEventListener("click", () => { Filters.start(); filter(); });
    get("clear").addEventListener("click", () => { selected = null; later(); });
    for (const id of ["axis", "drag", "line"]) get(id).addEventListener("change", later);
    get("download").addEventListener("click", () => Csv.download(shownRows(), "runs.csv"));
    get("listing-fold").addEventListener("toggle", fillListing);
    get("find").addEventListener("input", find);
    Scatter.listen({
      hover: Run.point, leave: Run.leave, click: showRun, select, deselect: () => { if (selected) { selected = null; later(); } },
    });
  }

  const redrawCurves = Curves.buildAll();
  Filters.build();
  if (innerWidth < 800) {
    get("filters").open = false;
    document.querySelector('input[name="drag"][value="zoom"]').checked = true;
  }
  matching = Filters.rows();
  draw().then(() => {
    listen();
    Report.ready = performance.now(); // milliseconds since the navigation began
    document.documentElement.dataset.ready = "true";
  });
  Theme.whenChanged(() => { draw(); redrawCurves(); Run.redraw(); });
})();
