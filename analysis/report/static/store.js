"use strict";
// The runs: columns of texts and numbers, as typed arrays. A run is known by its row.

const Store = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);

  // The page is little-endian, and so is every browser's machine.
  function array(text, Type) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return new Type(bytes.buffer);
  }

  function column({ numbers, levels, codes }) {
    if (numbers !== undefined) return { numbers: array(numbers, Float64Array) };
    return { levels, codes: array(codes, levels.length < 65536 ? Uint16Array : Uint32Array) };
  }

  const columns = {};
  for (const [name, packed] of Object.entries(data.runs.columns)) columns[name] = column(packed);

  // What a run has in a column: a text, a number, or null where there is none.
  function value(name, row) {
    const { numbers, levels, codes } = columns[name] || {};
    if (levels) return levels[codes[row]];
    return numbers && !Number.isNaN(numbers[row]) ? numbers[row] : null;
  }

  const GROUP = ["dataset", "test_environments", "algorithm"];
  const keyOf = (texts) => JSON.stringify(texts);
  const panelNumbers = new Map(
    data.panels.map((panel, i) => [keyOf(GROUP.map((name) => panel[name])), i]),
  );

  // Of each row: which panel (dataset, test environments, algorithm), and which optimizer's look.
  const panelOf = new Int32Array(data.runs.n);
  const lookOf = new Int32Array(data.runs.n);
  const lookNumbers = new Map(data.looks.map((look, i) => [look.name, i]));
  for (let row = 0; row < data.runs.n; row++) {
    panelOf[row] = panelNumbers.get(keyOf(GROUP.map((name) => value(name, row)))) ?? -1;
    lookOf[row] = lookNumbers.get(value("optimizer", row));
  }

  // Dataset and test environments as one column, since an environment's number means nothing alone.
  const sideOf = data.sides.map(({ dataset, test_environments: test }) => keyOf([dataset, test]));
  const sideCodes = new Uint16Array(data.runs.n);
  for (let row = 0; row < data.runs.n; row++) {
    sideCodes[row] = sideOf.indexOf(keyOf([value("dataset", row), value("test_environments", row)]));
  }
  columns.side = { levels: data.sides.map((side) => side.name), codes: sideCodes };

  const learning = {
    grids: data.learning.grids,
    grid: array(data.learning.grid, Uint16Array),
    id: array(data.learning.id, Uint16Array),
    ood: array(data.learning.ood, Uint16Array),
  };
  const starts = new Uint32Array(data.runs.n + 1); // where each run's curve begins
  for (let row = 0; row < data.runs.n; row++) {
    starts[row + 1] = starts[row] + learning.grids[learning.grid[row]].length;
  }

  // Steps, and ID and OOD accuracy at them; null where there was no score.
  function curve(row) {
    const { top } = data.learning;
    const [start, end] = [starts[row], starts[row + 1]];
    const decode = (packed) =>
      Array.from(packed.subarray(start, end), (code) => (code > top ? null : code / top));
    const steps = learning.grids[learning.grid[row]];
    return { steps, id: decode(learning.id), ood: decode(learning.ood) };
  }

  return {
    n: data.runs.n, columns, value, panelOf, lookOf, curve,
    names: Object.keys(data.runs.columns), hyperparameters: data.runs.hyperparameters,
    panels: data.panels, looks: data.looks, returns: data.returns, budget: data.budget,
    labels: data.names, measured: data.measured, environments: data.environments, sides: data.sides,
    selected: new Set(data.selected),
  };
})();
