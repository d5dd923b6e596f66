"use strict";
// The lines and the runs that are shown, as tables: what a keyboard and a screen reader reach.

const Listing = (() => {
  const MOST = 50; // of runs with scores, and as many without
  const cell = (tag, text, className = "") => Filters.element(tag, { textContent: text, className });

  function fill(table, heads, rows, none) {
    if (!rows.length) {
      table.replaceChildren(Filters.element("caption", { textContent: none }));
      return;
    }
    const head = Filters.element("tr", {}, ...heads.map(([text, kind]) => cell("th", text, kind)));
    const body = rows.map((cells) =>
      Filters.element("tr", {}, ...cells.map((content, i) => {
        if (content instanceof Node) return Filters.element("td", {}, content);
        return cell("td", content, heads[i][1]);
      })));
    table.replaceChildren(Filters.element("thead", {}, head), Filters.element("tbody", {}, ...body));
  }

  const digits = (value) => (Number.isFinite(value) ? value.toPrecision(5).replace("-", "\u2212") : "–");

  function fits(facets) {
    const heads = [["panel", ""], ["optimizer", ""], ["n", "number"], ["slope", "number"], ["intercept", "number"], ["R²", "number"], ["left out", "number"], ["supported", ""]];
    const rows = facets.flatMap((facet) => facet.lines.map(({ look, fit, doubt }) => [
      facet.panel.title, look ? look.label : "all", fit.n.toLocaleString("en"), digits(fit.slope), digits(fit.intercept), digits(fit.r2), String(fit.leftOut), doubt ? `no: ${doubt}` : "yes",
    ]));
    fill(document.getElementById("fits"), heads, rows, "No line is drawn.");
  }

  // The best by ID accuracy first, which is no selection; then those that diverged or failed.
  function runs(rows, click) {
    const id = Store.columns.id.numbers;
    const scored = rows.filter((row) => Store.value("status", row) === "completed");
    const lost = rows.filter((row) => ["diverged", "failed"].includes(Store.value("status", row)));
    scored.sort((a, b) => (id[b] || 0) - (id[a] || 0));
    const shown = [...scored.slice(0, MOST), ...lost.slice(0, MOST)];
    const heads = [["run", ""], ["optimizer", ""], ["OOD", "number"], ["ID", "number"], ["ID validation", "number"], ["panel", ""], ["status", ""], ["reason", ""]];
    const score = (name, row) => { const value = Store.value(name, row); return value === null ? "–" : value.toFixed(4); };
    const cells = shown.map((row) => {
      const button = Filters.element("button", { type: "button", className: "plain", textContent: Store.value("run", row) });
      button.addEventListener("click", () => click(row));
      const name = Run.label(row) + (Store.selected.has(row) ? ", selected" : "");
      const scores = ["ood", "id", "id_val"].map((column) => score(column, row));
      return [button, name, ...scores, Store.panels[Store.panelOf[row]].title, Store.value("status", row), Store.value("reason", row) || ""];
    });
    fill(document.getElementById("listing"), heads, cells, "No run matches.");
  }

  return { fits, runs };
})();
