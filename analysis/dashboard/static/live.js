"use strict";
// What happens when: the server is asked what is new, and the page takes it in.

(() => {
  const EVERY = 2000, DONE = 10000, AWAY = 5000; // milliseconds between two questions
  const SHARE = 0.1; // of the time, at most, goes into drawing points
  const get = (id) => document.getElementById(id);
  const costs = get("explorer").dataset.costs.split(" ");
  const studies = new Map();
  let cursor = "";
  let workers = [];
  let state = "";
  let drawn = 0; // when points may be drawn again
  let waiting = false; // whether points are to be drawn
  let held = false; // whether a reader draws in the chart

  function say(text, bad = false) {
    if (text === state) return;
    state = text;
    get("state").textContent = text;
    get("state").classList.toggle("warning", bad);
  }

  const stateOf = ({ running, waiting: left, ...ended }) => {
    const total = running + left + ended.completed + ended.diverged + ended.failed;
    if (!total) return "No sweep is stored yet: oodbench sweep SWEEP.yaml --db fills this database, and this page.";
    if (running) return "In training.";
    return left ? "Waiting: no worker holds a run." : "Done: every run has ended.";
  };

  async function curve(row) {
    const told = await Ask.the("curve", { run: Store.value("run", row) });
    return told.problem ? { steps: [] } : told;
  }

  // Points are drawn at once, or a little later where that takes long or a reader is drawing.
  async function drawPoints() {
    if (!waiting || held || performance.now() < drawn) return;
    waiting = false;
    const began = performance.now();
    const first = get("explorer").hidden;
    get("explorer").hidden = false;
    get("none-yet").hidden = true;
    await (first ? Report.start() : Report.renew());
    drawn = performance.now() + (performance.now() - began) / SHARE;
  }

  function takeRuns(told) {
    if (told.runs) Growing.add(told.runs);
    Growing.drop(told.gone);
    Growing.fill(told, costs, curve);
    if (!told.panels.length) return;
    waiting = true;
    Best.show(told.panels, told.best);
    Failures.show();
  }

  function take(told) {
    const [before, now] = [cursor, told.cursor].map((text) => text.split(".")[0]);
    if (before && before !== now) location.reload(); // another server: it counts anew
    cursor = told.cursor;
    say(stateOf(told.totals));
    Progress.showTotals(told.totals);
    for (const study of told.studies || []) studies.set(study.study, study);
    if (told.studies) Progress.showStudies([...studies.values()]);
    workers = told.workers || workers;
    Workers.show(workers, told.now);
    if (told.panels) takeRuns(told);
    return told.totals.running + told.totals.waiting ? EVERY : DONE;
  }

  let asking = 0;

  async function look() {
    clearTimeout(asking);
    let next = AWAY;
    try {
      const told = await Ask.the("changes", { since: cursor });
      if (told.problem) say(told.problem, true);
      else next = take(told);
      await drawPoints();
    } catch (error) {
      say(`The server does not answer (${error.message}): it may have ended. What stands here is what it said last.`, true);
    }
    document.documentElement.dataset.live = cursor;
    if (!document.hidden) asking = setTimeout(look, next);
  }

  get("scatter").addEventListener("pointerdown", () => { held = true; });
  addEventListener("pointerup", () => { held = false; });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  look();
})();
