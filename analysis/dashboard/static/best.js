"use strict";
// Of each optimizer the best run so far, by ID validation accuracy: a card for each panel.

const Best = (() => {
  const { element } = Filters;
  const score = (value) => (value === null ? "–" : value.toFixed(3));

  function row(one) {
    const look = Store.looks.find((known) => known.name === one.optimizer);
    const name = element("td", {}, element("span", { className: "named" }, Swatch.of(look), one.label));
    const run = one.run === null ? "–" : element("a", { className: "run", href: `#run=${encodeURIComponent(one.run)}`, textContent: one.run });
    const cells = [score(one.id_val), score(one.id), score(one.ood), one.completed === null ? "–" : Progress.number(one.completed)];
    return element("tr", {}, name, ...cells.map((text) => element("td", { className: "number", textContent: text })), element("td", {}, run));
  }

  function card(panel, best) {
    const mine = best.filter((one) => ["dataset", "test_environments", "algorithm"].every((name) => one[name] === panel[name]));
    mine.sort((a, b) => (b.id_val ?? -1) - (a.id_val ?? -1));
    const heads = ["optimizer", "ID validation", "ID", "OOD", "completed", "run"];
    const head = element("tr", {}, ...heads.map((text, i) => element("th", { scope: "col", textContent: text, className: i > 0 && i < 5 ? "number" : "" })));
    const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...mine.map(row)));
    return element("div", { className: "card" }, element("h3", { textContent: panel.title }),
      element("div", { className: "scroll", tabIndex: 0, role: "group", ariaLabel: panel.title }, table));
  }

  function show(panels, best) {
    const parent = document.getElementById("best-tables");
    if (parent.contains(document.activeElement)) return; // a reader is in it: next time
    parent.replaceChildren(...panels.map((panel) => card(panel, best)));
  }

  return { show };
})();
