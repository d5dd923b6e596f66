"use strict";
// The runs that are known, in columns that grow: a run keeps its row, whatever becomes of it.

const Growing = (() => {
  const rows = new Map(); // run -> row
  const columns = {};
  const hyperparameters = new Set();
  const LOST = ["id_val", "id", "ood", "n_id", "n_ood", "finished"];

  const texts = ({ levels, codes, numbers }) => (levels ? Array.from(codes, (code) => levels[code]) : Array.from(numbers, (x) => (Number.isNaN(x) ? "" : String(x))));

  // A column of numbers with those of more runs, which stand at the rows `at`.
  function numbersWith(old, more, at) {
    const numbers = new Float64Array(rows.size).fill(NaN);
    if (old) numbers.set(old.numbers);
    at.forEach((row, i) => { numbers[row] = more ? more.numbers[i] : NaN; });
    return { numbers };
  }

  // Likewise of texts; a run without has an empty one.
  function textsWith(old, more, at) {
    const all = Array.from({ length: rows.size }, () => "");
    if (old) texts(old).forEach((text, row) => { all[row] = text; });
    const added = more ? texts(more) : at.map(() => "");
    at.forEach((row, i) => { all[row] = added[i]; });
    const known = new Map((old && old.levels ? old.levels : []).map((level, i) => [level, i]));
    const codes = Uint32Array.from(all, (text) => {
      if (!known.has(text)) known.set(text, known.size);
      return known.get(text);
    });
    return { levels: [...known.keys()], codes };
  }

  // Runs as Python packs them.
  function add(runs) {
    const more = Store.columnsOf(runs.columns);
    const at = texts(more.run).map((run) => {
      if (!rows.has(run)) rows.set(run, rows.size);
      return rows.get(run);
    });
    for (const name of runs.hyperparameters) hyperparameters.add(name);
    for (const name of new Set([...Object.keys(columns), ...Object.keys(more)])) {
      const given = [columns[name], more[name]].filter(Boolean);
      columns[name] = (given.every((one) => one.numbers) ? numbersWith : textsWith)(columns[name], more[name], at);
    }
  }

  // Runs that were put back in line: they wait, and have no scores.
  function drop(runs) {
    const at = runs.filter((run) => rows.has(run)).map((run) => rows.get(run));
    if (!at.length) return;
    const waiting = { levels: ["waiting"], codes: at.map(() => 0) };
    columns.status = textsWith(columns.status, waiting, at);
    for (const name of LOST) columns[name] = numbersWith(columns[name], null, at);
  }

  // Hands all of them to the explorer, with what an answer says besides.
  function fill({ panels, looks, sides, names, best }, costs, curve) {
    const data = {
      panels, looks, sides, names, returns: [], budget: [], environments: [],
      runs: { n: rows.size, hyperparameters: [...hyperparameters] }, measured: costs.filter((name) => columns[name]),
      selected: best.filter((one) => rows.has(one.run)).map((one) => rows.get(one.run)),
    };
    Store.fill(data, { ...columns }, curve);
  }

  return { add, drop, fill, rowOf: (run) => rows.get(run) };
})();
