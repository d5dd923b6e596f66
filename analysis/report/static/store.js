"use strict";
// The runs: columns of texts and numbers, as typed arrays. A run is known by its row.

const Store = (() => {
  const store = {};
  const GROUP = ["dataset", "test_environments", "algorithm"];
  const keyOf = (texts) => JSON.stringify(texts);

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

  const columnsOf = (packed) => Object.fromEntries(Object.entries(packed).map(([name, one]) => [name, column(one)]));

  // What a run has in a column: a text, a number, or null where there is none.
  function value(name, row) {
    const { numbers, levels, codes } = store.columns[name] || {};
    if (levels) return levels[codes[row]];
    return numbers && !Number.isNaN(numbers[row]) ? numbers[row] : null;
  }

  // Of each row: which panel (dataset, test environments, algorithm), which optimizer's look, and
  // dataset and test environments as one column, since an environment's number means nothing alone.
  function place({ panels, looks, sides }) {
    const panelNumbers = new Map(panels.map((panel, i) => [keyOf(GROUP.map((name) => panel[name])), i]));
    const lookNumbers = new Map(looks.map((look, i) => [look.name, i]));
    const sideNumbers = new Map(sides.map((side, i) => [keyOf([side.dataset, side.test_environments]), i]));
    store.panelOf = new Int32Array(store.n);
    store.lookOf = new Int32Array(store.n);
    const codes = new Uint16Array(store.n);
    for (let row = 0; row < store.n; row++) {
      const [dataset, test, algorithm] = GROUP.map((name) => value(name, row));
      store.panelOf[row] = panelNumbers.get(keyOf([dataset, test, algorithm])) ?? -1;
      store.lookOf[row] = lookNumbers.get(value("optimizer", row));
      codes[row] = sideNumbers.get(keyOf([dataset, test]));
    }
    store.columns.side = { levels: sides.map((side) => side.name), codes };
  }

  // Gives of each run its steps, and ID and OOD accuracy at them; null where there was no score.
  function curvesOf({ grids, top, ...packed }) {
    const [grid, id, ood] = ["grid", "id", "ood"].map((name) => array(packed[name], Uint16Array));
    const starts = new Uint32Array(store.n + 1); // where each run's curve begins
    for (let row = 0; row < store.n; row++) starts[row + 1] = starts[row] + grids[grid[row]].length;
    return (row) => {
      const decode = (values) => Array.from(values.subarray(starts[row], starts[row + 1]), (code) => (code > top ? null : code / top));
      return { steps: grids[grid[row]], id: decode(id), ood: decode(ood) };
    };
  }

  // Takes what Python wrote, with the runs' columns as typed arrays. curve: of a row, or a promise of it.
  function fill(data, columns, curve) {
    Object.assign(store, {
      n: data.runs.n, columns, curve, names: Object.keys(columns), hyperparameters: data.runs.hyperparameters,
      panels: data.panels, looks: data.looks, returns: data.returns, budget: data.budget,
      labels: data.names, measured: data.measured, environments: data.environments, sides: data.sides,
      selected: new Set(data.selected),
    });
    place(data);
  }

  const data = JSON.parse(document.getElementById("data").textContent);
  if (data) {
    fill(data, columnsOf(data.runs.columns));
    store.curve = curvesOf(data.learning);
  }
  return Object.assign(store, { value, columnsOf, fill });
})();
