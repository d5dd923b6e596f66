"use strict";
// One run: what it is (at the pointer, and in full), and its learning curves.

const Run = (() => {
  const card = document.getElementById("run");
  const tip = document.getElementById("tip");
  const FACTS = ["run", "dataset", "test_environments", "algorithm", "optimizer", "status", "reason", "model", "steps", "sampler"];
  let shown = null;

  const number = (value) => (typeof value === "number" ? String(Number(value.toPrecision(6))) : value);
  const accuracy = (value, n) =>
    value === null ? "none" : value.toFixed(4) + (n === null ? "" : ` (n = ${n.toLocaleString("en")} examples)`);
  const SCORES = [["ID accuracy", "id", "n_id"], ["OOD accuracy", "ood", "n_ood"], ["ID validation accuracy", "id_val", null]];
  const scores = (row) => SCORES.filter(([, name]) => Store.columns[name]).map(([title, name, size]) => [title, accuracy(Store.value(name, row), size ? Store.value(size, row) : null)]);
  const hyperparameters = (row) =>
    Store.hyperparameters.map((name) => [name, Store.value(name, row)]).filter(([, value]) => value !== null && value !== "");
  const label = (row) => Store.looks[Store.lookOf[row]].label;

  function point(row, event) {
    const lines = [
      `${label(row)}, ${Store.value("status", row)}`, Store.panels[Store.panelOf[row]].title,
      ...hyperparameters(row).map(([name, value]) => `${name} ${number(value)}`),
      `ID ${accuracy(Store.value("id", row), Store.value("n_id", row))}`,
      `OOD ${accuracy(Store.value("ood", row), Store.value("n_ood", row))}`, `run ${Store.value("run", row)}`,
    ];
    tip.textContent = lines.join("\n");
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 8))}px`;
  }

  function leave() {
    tip.hidden = true;
  }

  function facts(row) {
    const list = Filters.element("dl", { className: "facts" });
    const add = (name, value) =>
      list.append(Filters.element("dt", { textContent: name }), Filters.element("dd", { textContent: value }));
    for (const name of FACTS) {
      const value = Store.value(name, row);
      if (value !== null && value !== "" && value !== undefined) add(name.replace("_", " "), number(value));
    }
    for (const [name, value] of hyperparameters(row)) add(name, number(value));
    for (const [title, text] of scores(row)) add(title, text);
    for (const name of Store.environments) {
      const value = Store.value(name, row);
      if (value !== null) add(name, value.toFixed(4));
    }
    return list;
  }

  function drawCurves(div, row, { steps, id, ood }) {
    const { chance } = Store.panels[Store.panelOf[row]];
    const look = Store.looks[Store.lookOf[row]];
    const line = (y, name, dash) => ({
      type: "scatter", mode: "lines+markers", x: steps, y, name, line: { dash, width: 2, color: Theme.ofLook(look) },
      marker: { size: 6, color: Theme.ofLook(look) }, hovertemplate: `${name} %{y:.4f} at step %{x:,}<extra></extra>`,
    });
    const end = (values, text) => {
      const last = values.findLastIndex((value) => value !== null);
      if (last < 0) return [];
      return [{ x: steps[last], y: values[last], text, showarrow: false, xanchor: "left", xshift: 8, font: { color: Theme.ofLook(look) } }];
    };
    const shapes = chance === null ? [] : [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: chance, y1: chance, line: { dash: "dot", width: 1, color: Theme.color("quiet") } }];
    const note = chance === null ? [] : [{ xref: "paper", x: 0, y: chance, xanchor: "left", yanchor: "bottom", text: `chance ${Number(chance.toPrecision(3))}`, showarrow: false, font: { size: 10.5, color: Theme.color("quiet") } }];
    const layout = Theme.layout({
      width: Theme.width(div), height: 300, margin: { l: 56, r: 48, t: 12, b: 46 }, shapes, annotations: [...end(id, "ID"), ...end(ood, "OOD"), ...note],
      xaxis: Theme.axis({ title: { text: "step" }, rangemode: "tozero" }), yaxis: Theme.axis({ title: { text: "accuracy" } }),
    });
    return Theme.react(div, [line(id, "ID", "solid"), line(ood, "OOD", "dash")], layout, { ...Theme.CONFIG, displayModeBar: false });
  }

  function show(row) {
    shown = row;
    leave();
    const heading = Filters.element("h3", { textContent: `Run ${Store.value("run", row)}${Store.selected.has(row) ? " (selected)" : ""}: ${label(row)}, ${Store.panels[Store.panelOf[row]].title}`, tabIndex: -1 });
    const close = Filters.element("button", { type: "button", textContent: "Close", id: "close-run" });
    close.addEventListener("click", () => { hide(); changed(); });
    const chart = Filters.element("div", { id: "learning", className: "chart", role: "group", ariaLabel: "Accuracy along training" });
    card.replaceChildren(heading, Filters.element("div", { className: "grid" }, facts(row), chart), close);
    card.hidden = false;
    const fill = (curve) => {
      if (curve.steps.length) drawCurves(chart, row, curve);
      else chart.textContent = "This run has no learning curve: it was never evaluated, or the report was made without.";
    };
    const curve = Store.curve(row);
    if (curve instanceof Promise) curve.then((known) => { if (chart.isConnected) fill(known); });
    else fill(curve);
    changed();
    return heading;
  }

  function hide() {
    card.hidden = true;
    shown = null;
  }

  // Called when a run is shown or closed.
  let changed = () => {};
  const whenChanged = (act) => { changed = act; };

  function redraw() {
    if (shown !== null) show(shown);
  }

  return { point, leave, show, hide, redraw, label, whenChanged, shown: () => shown };
})();
