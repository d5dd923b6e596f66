"use strict";
// Return curves and budget curves of one panel: lines with bands.

const Curves = (() => {
  const same = (panel) => (one) => ["dataset", "test_environments", "algorithm"].every((name) => one[name] === panel[name]);
  const lookOf = (name) => Store.looks.find((look) => look.name === name);

  // A band where both of its ends are known.
  function band(x, low, high, look, extra) {
    const known = x.map((_, i) => i).filter((i) => low[i] !== null && high[i] !== null);
    const back = [...known].reverse();
    return {
      type: "scatter", mode: "lines", hoverinfo: "skip", fill: "toself", fillcolor: Theme.ofLook(look, 0.16), line: { width: 0 },
      x: [...known, ...back].map((i) => x[i]), y: [...known.map((i) => low[i]), ...back.map((i) => high[i])], ...extra,
    };
  }

  function line(x, y, look, dash, name, extra) {
    return {
      type: "scatter", mode: "lines", x, y, line: { width: 2, dash, color: Theme.ofLook(look) }, name: Theme.plain(name), connectgaps: false, ...extra,
    };
  }

  function chanceLine(chance, axis) {
    if (chance === null) return { shapes: [], annotations: [] };
    const xref = axis === 1 ? "x domain" : `x${axis} domain`;
    const yref = axis === 1 ? "y" : `y${axis}`;
    const quiet = Theme.color("quiet");
    return {
      shapes: [{ type: "line", layer: "below", xref, yref, x0: 0, x1: 1, y0: chance, y1: chance, line: { width: 1, dash: "dot", color: quiet } }],
      annotations: [{ xref, yref, x: 1, y: chance, xanchor: "right", yanchor: "bottom", showarrow: false, text: `chance ${Number(chance.toPrecision(3))}`, font: { size: 10.5, color: quiet } }],
    };
  }

  function verdict(panel, look) {
    const curve = Store.returns.filter(same(panel)).find((one) => one.optimizer === look.name);
    return curve ? curve.verdict : "";
  }

  const isFound = (curve) => curve.verdict !== "not determined" && curve.x.length;

  function drawReturns(panel) {
    const div = document.getElementById("returns-chart");
    const curves = Store.returns.filter(same(panel));
    const found = curves.filter(isFound);
    const number = Store.panels.indexOf(panel);
    const [x, y, colors, symbols, lines] = [[], [], [], [], []];
    const { id, ood } = Store.columns;
    for (let row = 0; row < Store.n; row++) {
      if (Store.panelOf[row] !== number || Store.value("status", row) !== "completed") continue;
      const look = Store.looks[Store.lookOf[row]];
      x.push(id.numbers[row]);
      y.push(ood.numbers[row]);
      colors.push(Theme.ofLook(look));
      symbols.push(look.symbol + (look.filled ? "" : "-open"));
      lines.push(look.filled ? 0 : 1);
    }
    const crowd = x.length > 2000;
    const marker = { color: colors, symbol: symbols, size: crowd ? 4 : 6, opacity: crowd ? 0.2 : 0.4, line: { width: lines, color: colors } };
    const points = { type: Scatter.TYPE, mode: "markers", hoverinfo: "skip", x, y, marker };
    const traces = [points];
    for (const curve of found) {
      const look = lookOf(curve.optimizer);
      const hover = { hovertemplate: `${Theme.plain(look.label)}: ID %{x:.3f}, OOD %{y:.3f}<extra></extra>` };
      const [lower, upper] = curve.percentiles;
      const within = curve.x.map((at) => at >= lower && at <= upper);
      traces.push(band(curve.x, curve.low, curve.high, look));
      traces.push(line(curve.x, curve.y, look, "dot", look.label, hover));
      traces.push(line(curve.x, curve.y.map((value, i) => (within[i] ? value : null)), look, "solid", look.label, hover));
    }
    const width = Math.min(Theme.width(div), 720);
    const chance = chanceLine(panel.chance, 1);
    const every = [...x, ...y, ...(panel.chance === null ? [] : [panel.chance])].filter(Number.isFinite);
    const [low, high] = every.length ? [every.reduce((a, b) => Math.min(a, b)), every.reduce((a, b) => Math.max(a, b))] : [0, 1];
    const range = [low - 0.03, high + 0.03];
    chance.shapes.push({ type: "line", layer: "below", x0: range[0], x1: range[1], y0: range[0], y1: range[1], line: { width: 1, dash: "dash", color: Theme.color("quiet") } });
    Theme.react(div, traces, Theme.layout({
      width, height: Math.min(width, 520), margin: { l: 58, r: 16, t: 10, b: 48 }, hovermode: "closest", ...chance,
      xaxis: Theme.axis({ title: { text: "ID accuracy" }, range: [...range] }), yaxis: Theme.axis({ title: { text: "OOD accuracy" }, range: [...range] }),
    }), { ...Theme.CONFIG, displayModeBar: false });
    Swatch.legend(document.getElementById("returns-legend"), curves.map((curve) => [lookOf(curve.optimizer), `: ${curve.verdict}, n = ${curve.n.toLocaleString("en")}`]));
  }

  function drawBudget(panel) {
    const div = document.getElementById("budget-chart");
    const curves = Store.budget.filter(same(panel));
    const width = Theme.width(div);
    const stacked = width < 640;
    const traces = [];
    const parts = { shapes: [], annotations: [] };
    const ranges = [];
    ["id", "ood"].forEach((score, i) => {
      const suffix = i ? "2" : "";
      const axes = { xaxis: `x${suffix}`, yaxis: `y${suffix}` };
      for (const curve of curves) {
        const look = lookOf(curve.optimizer);
        const [low, high, y] = [curve[`${score}_low`], curve[`${score}_high`], curve[score]];
        const hover = { hovertemplate: `${Theme.plain(look.label)}: %{y:.3f} of %{x:,} trials<extra></extra>`, ...axes };
        traces.push(band(curve.n, low, high, look, axes));
        traces.push(line(curve.n, y, look, "dash", look.label, { ...hover, line: { width: 1, dash: "dash", color: Theme.ofLook(look) } }));
        const marks = { mode: "lines+markers", marker: { size: 6, symbol: look.symbol + (look.filled ? "" : "-open"), maxdisplayed: 8, color: Theme.ofLook(look) } };
        traces.push(line(curve.n, y.map((value, j) => (low[j] === null ? null : value)), look, "solid", look.label, { ...hover, ...marks }));
      }
      const seen = curves.flatMap((curve) => [...curve[score], ...curve[`${score}_low`], ...curve[`${score}_high`]]).filter(Number.isFinite);
      const [low, high] = [seen.reduce((a, b) => Math.min(a, b), 1), seen.reduce((a, b) => Math.max(a, b), 0)];
      const margin = 0.05 * (high - low) || 0.05;
      ranges.push([low - margin, high + margin]);
      if (panel.chance === null || panel.chance < low - margin || panel.chance > high + margin) return;
      const chance = chanceLine(panel.chance, i + 1);
      parts.shapes.push(...chance.shapes);
      parts.annotations.push(...chance.annotations);
    });
    const domain = (i) => (stacked ? [0, 1] : i ? [0.57, 1] : [0, 0.46]);
    const rows = (i) => (stacked ? (i ? [0, 0.42] : [0.58, 1]) : [0, 1]);
    const layout = Theme.layout({ width, height: stacked ? 660 : 360, margin: { l: 58, r: 12, t: 10, b: 48 }, hovermode: "closest", ...parts });
    ["ID accuracy", "OOD accuracy"].forEach((title, i) => {
      const suffix = i ? "2" : "";
      layout[`xaxis${suffix}`] = Theme.axis({ type: "log", dtick: "D2", tickformat: ",", domain: domain(i), anchor: `y${suffix}`, title: { text: "n trials of a search" } });
      layout[`yaxis${suffix}`] = Theme.axis({ domain: rows(i), range: ranges[i], anchor: `x${suffix}`, title: { text: title } });
    });
    Theme.react(div, traces, layout, { ...Theme.CONFIG, displayModeBar: false });
    Swatch.legend(document.getElementById("budget-legend"), curves.map((curve) => [lookOf(curve.optimizer), `: ${curve.trials.toLocaleString("en")} trials`]));
  }

  // A panel's name chooses it; only panels that have such curves are there. The chart is drawn once
  // it comes near the screen, or is printed: the explorer need not wait for it.
  function build(name, curves, draw, isShown) {
    const select = document.getElementById(`${name}-panel`);
    if (!select) return () => {};
    const panels = Store.panels.filter((panel) => curves.some(same(panel)));
    panels.forEach((panel, i) => select.append(Filters.element("option", { value: String(i), textContent: panel.title })));
    // It opens on a panel that has something to show.
    const best = panels.findIndex((panel) => curves.filter(same(panel)).some(isShown));
    if (best > 0) select.value = String(best);
    let near = false;
    const redraw = () => { if (panels.length && (near || Theme.printing())) draw(panels[Number(select.value)]); };
    select.addEventListener("change", redraw);
    new IntersectionObserver((entries, observer) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      near = true;
      redraw();
    }, { rootMargin: "600px" }).observe(document.getElementById(`${name}-chart`));
    return redraw;
  }

  function buildAll() {
    const redraws = [build("returns", Store.returns, drawReturns, isFound), build("budget", Store.budget, drawBudget, () => true)];
    return () => redraws.forEach((redraw) => redraw());
  }

  return { buildAll, verdict };
})();
