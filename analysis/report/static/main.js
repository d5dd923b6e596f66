"use strict";
// What happens when: filters, axes, lasso and clicks lead to one drawing of the explorer.

const Report = {}; // what is drawn now, for whoever looks at the page from outside

(() => {
  const REST = 400; // milliseconds without an event, after which what takes longer is drawn
  const get = (id) => document.getElementById(id);
  const checked = (name) => document.querySelector(`input[name="${name}"]:checked`).value;
  let matching = []; // rows that match the filters
  let selected = null; // of them, those that a lasso or box kept; null: all
  let drawing = 0, refining = 0; // what will draw next: a frame, a timer
  let partly = false; // whether there are points that only the timer will draw

  const shownRows = () => (selected ? matching.filter((row) => selected.has(row)) : matching);
  const view = () => ({ x: Measures.get(get("x").value), y: Measures.get(get("y").value), axis: checked("axis") });
  const isReturn = ({ x, y }) => x.name === "id" && y.name === "ood";

  // Lines go through what is shown: all that match, or what the lasso kept of it.
  function addLines(facet, through) {
    const kept = Facets.byLook(facet).map(([look, points]) => ({ look: Store.looks[look], points: points.filter((i) => !selected || selected.has(facet.rows[i])) }));
    const of = (look, points, verdict) => {
      const fit = Fit.line(points.map((i) => facet.x[i]), points.map((i) => facet.y[i]));
      return { look, fit, doubt: Fit.doubt(fit, verdict) };
    };
    if (through === "none") facet.lines = [];
    else if (through === "panel") facet.lines = [of(null, kept.flatMap((one) => one.points), "")];
    else facet.lines = kept.map(({ look, points }) => of(look, points, isReturn(view()) ? Curves.verdict(facet.panel, look) : ""));
  }

  function say(facets, hidden) {
    const count = (status) => matching.filter((row) => Store.value("status", row) === status).length;
    const n = facets.reduce((sum, facet) => sum + facet.n, 0);
    const drawn = facets.reduce((sum, facet) => sum + facet.drawn.length, 0);
    const lines = facets.flatMap((facet) => facet.lines);
    const doubtful = lines.filter((line) => line.doubt).length;
    const texts = [`${n.toLocaleString("en")} points of ${matching.length.toLocaleString("en")} runs that match (${Store.n.toLocaleString("en")} in all); ${count("diverged")} diverged, ${count("failed")} failed.`];
    if (drawn < n && !partly) texts.push(`A random ${drawn.toLocaleString("en")} of them are drawn; lines, list and CSV are of all.`);
    if (selected) texts.push(`${shownRows().length.toLocaleString("en")} are selected: lines and CSV are of these.`);
    if (hidden.length) texts.push(`The first ${facets.length} of ${facets.length + hidden.length} panels are drawn: choose fewer datasets or test environments.`);
    if (doubtful) texts.push(`${doubtful} of ${lines.length} lines are not supported, and dotted: the table under the chart says why.`);
    if (!n) texts.push("No run with scores matches: widen the filters.");
    get("shown").textContent = texts.join(" ");
    get("clear").hidden = !selected;
  }

  // What a reader must know about the runs that were pooled, and of which panels where not of all.
  function remarks(facets) {
    const where = new Map();
    for (const { panel } of facets) for (const remark of panel.remarks) where.set(remark, [...(where.get(remark) || []), panel.title]);
    const remarks = [...where].map(([remark, titles]) => (titles.length === facets.length ? remark : `${remark} (${titles.join("; ")})`));
    get("remarks").textContent = remarks.length ? `Of these runs: ${remarks.join("; ")}.` : "";
  }

  function refineLater() {
    clearTimeout(refining);
    if (partly) refining = setTimeout(() => draw(undefined, true), REST);
  }

  // All points, or as many as are drawn at once; then the others, when nothing happens for a moment.
  function draw(most, zoomed = false) {
    clearTimeout(refining);
    const now = view();
    const { facets, hidden, partly: more } = Facets.group(matching, now, most);
    partly = more;
    Facets.setRanges(facets, now);
    for (const facet of facets) addLines(facet, get("line").value);
    document.querySelectorAll(".axis-name").forEach((node) => { node.textContent = now.axis; });
    say(facets, hidden);
    remarks(facets);
    Listing.fits(facets);
    Report.facets = facets;
    fillListing();
    return Scatter.draw(facets, now, { drag: checked("drag"), selected, zoomed }).then(refineLater);
  }

  // Events that follow one another closely lead to one drawing.
  function later() {
    save();
    cancelAnimationFrame(drawing);
    clearTimeout(refining);
    drawing = requestAnimationFrame(() => draw(Facets.AT_ONCE));
  }

  function fillListing() {
    if (get("listing-fold").open && !get("listing").contains(document.activeElement)) Listing.runs(shownRows(), showRun);
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

  const rowOf = (run) => Store.columns.run.codes.indexOf(Store.columns.run.levels.indexOf(run));

  function find() {
    const text = get("find").value.trim();
    const found = Store.columns.run.levels.filter((run) => text && run.startsWith(text));
    if (found.length === 1) Run.show(rowOf(found[0]));
  }

  // The address of what is shown. Of the view that a report opens with it has none.
  function save() {
    const params = new URLSearchParams();
    for (const [name, usual] of [["x", "id"], ["y", "ood"], ["line", "none"]]) if (get(name).value !== usual) params.set(name, get(name).value);
    if (checked("axis") !== "accuracy") params.set("axis", checked("axis"));
    if (filtered) Filters.save(params);
    if (selected && selected.size <= State.MOST) params.set("selected", State.packed([...selected].sort((a, b) => a - b)));
    if (Run.shown() !== null) params.set("run", Store.value("run", Run.shown()));
    if (filtered && !params.size) params.set("only", "all");
    State.write(params);
  }

  let filtered = false; // whether the filters are not those that a report opens with

  function load(params) {
    filtered = [...params.keys()].some((name) => /^(only|least\.|most\.)/.test(name));
    if (filtered) Filters.load(params);
    else Filters.start();
    for (const [name, usual] of [["x", "id"], ["y", "ood"], ["line", "none"]]) {
      const value = params.get(name) || usual;
      if ([...get(name).options].some((option) => option.value === value)) get(name).value = value;
    }
    const axis = document.querySelector(`input[name="axis"][value="${CSS.escape(params.get("axis") || "accuracy")}"]`);
    if (axis) axis.checked = true;
    matching = Filters.rows();
    const kept = params.get("selected");
    selected = kept ? new Set(State.unpacked(kept)) : null;
    const run = rowOf(params.get("run"));
    if (run >= 0) Run.show(run);
    else Run.hide();
    return run;
  }

  function listen() {
    Filters.form.addEventListener("input", () => { filtered = true; filter(); });
    get("reset").addEventListener("click", () => { filtered = false; Filters.start(); filter(); });
    get("clear").addEventListener("click", () => { selected = null; later(); });
    for (const id of ["axis", "drag", "line"]) get(id).addEventListener("change", later);
    for (const id of ["x", "y"]) get(id).addEventListener("change", () => { selected = null; later(); });
    get("download").addEventListener("click", () => Csv.download(shownRows(), "runs.csv"));
    get("listing-fold").addEventListener("toggle", fillListing);
    get("find").addEventListener("input", find);
    Scatter.listen({
      hover: Run.point, leave: Run.leave, click: showRun, select, deselect: () => { if (selected) { selected = null; later(); } },
    });
    // Nothing is drawn under a lasso.
    get("scatter").addEventListener("pointerdown", () => clearTimeout(refining));
    get("scatter").addEventListener("pointerup", refineLater);
    Run.whenChanged(save);
    addEventListener("scroll", Run.leave, { passive: true });
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a.run");
      if (!link) return;
      event.preventDefault();
      showRun(rowOf(link.textContent));
    });
    addEventListener("hashchange", () => {
      const params = State.read();
      if (params) { load(params); later(); }
    });
  }

  function start() {
    const redrawCurves = Curves.buildAll();
    Measures.read();
    Filters.build();
    Measures.choices(get("x"), "id");
    Measures.choices(get("y"), "ood");
    if (innerWidth < 800) {
      get("filters").open = false;
      document.querySelector('input[name="drag"][value="zoom"]').checked = true;
    }
    const asked = State.read();
    if (asked) load(asked);
    else matching = Filters.rows();
    Theme.whenChanged(() => { draw(); redrawCurves(); Run.redraw(); });
    return draw(Facets.AT_ONCE).then(() => {
      listen();
      if (asked) get(Run.shown() === null ? "explore" : "run").scrollIntoView();
      Report.ready = performance.now(); // milliseconds since the navigation began
      document.documentElement.dataset.ready = "true";
    });
  }

  // More runs are in the store: what a reader chose, zoomed into and opened stays.
  function renew() {
    Measures.read();
    Filters.rebuild(filtered);
    for (const name of ["x", "y"]) Measures.choices(get(name), get(name).value);
    matching = Filters.rows();
    return draw(undefined, true); // all at once: points that went and came would flicker
  }

  Object.assign(Report, { start, renew });
  if (Store.n !== undefined) start();
})();
