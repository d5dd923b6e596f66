"use strict";
// What can stand on an axis: both accuracies and each environment's, costs, probes, hyperparameters.

const Measures = (() => {
  const FIXED = { id: "ID accuracy", ood: "OOD accuracy", id_val: "ID validation accuracy" };
  const SIZES = { id: "n_id", ood: "n_ood" }; // the examples behind an accuracy, where it is known
  const SPREAD = 50; // values above 0 that spread more than this times stand on a logarithmic axis

  function numeric(name, group, title = name) {
    const { numbers } = Store.columns[name];
    const known = numbers.filter((x) => !Number.isNaN(x));
    if (!known.length) return null;
    const low = known.reduce((a, b) => Math.min(a, b));
    const high = known.reduce((a, b) => Math.max(a, b));
    if (low === high && group !== "accuracies") return null;
    return { name, group, title, numbers, sizes: null, log: group !== "accuracies" && low > 0 && high / low > SPREAD };
  }

  let all = [], byName = new Map();

  // Whatever has numbers, in the order of the choices.
  const found = () => [
    ...Object.entries(FIXED).map(([name, title]) => (Store.columns[name] ? numeric(name, "accuracies", title) : null)),
    ...Store.environments.map((name) => numeric(name, "accuracies")),
    ...Store.measured.map((name) => numeric(name, "costs and probes", name.replaceAll("_", " "))),
    ...Store.hyperparameters.filter((name) => Store.columns[name].numbers).map((name) => numeric(name, "hyperparameters")),
  ].filter(Boolean);

  // Reads the runs anew.
  function read() {
    all = found();
    for (const one of all) if (SIZES[one.name] && Store.columns[SIZES[one.name]]) one.sizes = Store.columns[SIZES[one.name]].numbers;
    byName = new Map(all.map((one) => [one.name, one]));
  }

  const isAccuracy = (one) => one.group === "accuracies";

  // Where a run stands on an axis, NaN for nowhere. Accuracies stand on the axis that is chosen.
  function place(one, row, axis) {
    const value = one.numbers[row];
    if (isAccuracy(one)) return Axes.place(value, one.sizes ? one.sizes[row] : NaN, axis);
    return one.log ? Math.log10(value) : value;
  }

  const axisName = (one, axis) => {
    if (isAccuracy(one)) return axis === "accuracy" ? one.title : `${one.title} (${axis} axis)`;
    return one.title;
  };

  function choices(select, chosen) {
    const names = all.map((one) => one.name);
    if ([...select.options].map((option) => option.value).join("\n") === names.join("\n")) return;
    select.replaceChildren();
    for (const group of ["accuracies", "costs and probes", "hyperparameters"]) {
      const mine = all.filter((one) => one.group === group);
      if (!mine.length) continue;
      const parent = Filters.element("optgroup", { label: group });
      parent.append(...mine.map((one) => Filters.element("option", { value: one.name, textContent: one.title, selected: one.name === chosen })));
      select.append(parent);
    }
  }

  return { read, get: (name) => byName.get(name), has: (name) => byName.has(name), isAccuracy, place, axisName, choices };
})();
