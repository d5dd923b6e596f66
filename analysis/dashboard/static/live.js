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
    const reply = await Ask.the("curve", { run: Store.value("run", row) });
    return reply.problem ? { steps: [] } : reply;
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

  function takeRuns(reply) {
    if (reply.runs) Growing.add(reply.runs);
    Growing.drop(reply.gone);
    Growing.fill(reply, costs, curve);
    if (!reply.panels.length) return;
    waiting = true;
    Best.show(reply.panels, reply.best);
    Failures.show();
  }

  function take(reply) {
    const [before, now] = [cursor, reply.cursor].map((text) => text.split(".")[0]);
    if (before && before !== now) location.reload(); // another server: it counts anew
    cursor = reply.cursor;
    say(stateOf(reply.totals));
    Progress.showTotals(reply.totals);
    for (const study of reply.studies || []) studies.set(study.study, study);
    if (reply.studies) Progress.showStudies([...studies.values()]);
    if (reply.statements) Progress.showStatements(reply.statements);
    workers = reply.workers || workers;
    Workers.show(workers, reply.now);
    if (reply.panels) takeRuns(reply);
    return reply.totals.running + reply.totals.waiting ? EVERY : DONE;
  }

  let asking = 0;

  async function look() {
    clearTimeout(asking);
    let next = AWAY;
    try {
      const reply = await Ask.the("changes", { since: cursor });
      if (reply.problem) say(reply.problem, true);
      else next = take(reply);
      await drawPoints();
    } catch (error) {
      say(`The server does not answer (${error.message}): it may have ended. This page shows its last answer.`, true);
    }
    document.documentElement.dataset.live = cursor;
    if (!document.hidden) asking = setTimeout(look, next);
  }

  get("scatter").addEventListener("pointerdown", () => { held = true; });
  addEventListener("pointerup", () => { held = false; });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  look();
})();
