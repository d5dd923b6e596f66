"use strict";
// The scatter chart: every run that is shown as a point, lines, y = x, chance.

const Scatter = (() => {
  const div = document.getElementById("scatter");
  const canvas = document.createElement("canvas");
  const TYPE = canvas.getContext("webgl2") || canvas.getContext("webgl") ? "scattergl" : "scatter";
  let traces = []; // those of points, in the order of plotly's curve numbers

  // One trace of a panel, so that its points lie in the order in which they are drawn.
  function pointTrace(facet, number, selected) {
    const suffix = number ? String(number + 1) : "";
    const [size, alpha] = facet.n <= 300 ? [8, 0.75] : facet.n <= 2000 ? [6, 0.55] : [4, 0.4];
    const rows = facet.drawn.map((i) => facet.rows[i]);
    const looks = rows.map((row) => Store.lookOf[row]);
    const colors = Store.looks.map((look) => Theme.ofLook(look));
    const symbols = Store.looks.map((look) => look.symbol + (look.filled ? "" : "-open"));
    return {
      type: TYPE, mode: "markers", rows, hoverinfo: "none", xaxis: `x${suffix}`, yaxis: `y${suffix}`,
      x: facet.drawn.map((i) => facet.x[i]), y: facet.drawn.map((i) => facet.y[i]),
      marker: {
        size, opacity: alpha, color: looks.map((look) => colors[look]), symbol: looks.map((look) => symbols[look]),
        line: { width: looks.map((look) => (Store.looks[look].filled ? 0 : 1)), color: looks.map((look) => colors[look]) },
      },
      unselected: { marker: { opacity: 0.07 } },
      ...(selected ? { selectedpoints: rows.flatMap((row, i) => (selected.has(row) ? [i] : [])) } : {}),
    };
  }

  // Rings around the runs that the rule selects.
  function ringTrace(facet, number) {
    const suffix = number ? String(number + 1) : "";
    const mine = facet.drawn.filter((i) => Store.selected.has(facet.rows[i]));
    return {
      type: "scatter", mode: "markers", name: "selected", hoverinfo: "skip", xaxis: `x${suffix}`, yaxis: `y${suffix}`,
      x: mine.map((i) => facet.x[i]), y: mine.map((i) => facet.y[i]),
      marker: { size: 15, symbol: "circle-open", color: Theme.color("fg"), line: { width: 2, color: Theme.color("fg") } },
    };
  }

  function lineTraces(facet, number) {
    const suffix = number ? String(number + 1) : "";
    return facet.lines.filter(({ fit }) => Number.isFinite(fit.slope)).map(({ look, fit, doubt }) => ({
      type: "scatter", mode: "lines", hoverinfo: "skip", xaxis: `x${suffix}`, yaxis: `y${suffix}`,
      x: [fit.low, fit.high], y: [fit.low, fit.high].map((x) => fit.intercept + fit.slope * x),
      line: { width: 2, dash: doubt ? "dot" : "solid", color: look ? Theme.ofLook(look) : Theme.color("fg") },
    }));
  }

  // The panel's name, and how many runs stand behind it; small enough for its width.
  function title(facet) {
    const lost = ["diverged", "failed"].map((status) => `${(facet.counts[status] || 0).toLocaleString("en")} ${status}`);
    const count = `n = ${facet.n.toLocaleString("en")} of ${facet.total.toLocaleString("en")} runs; ${lost.join(", ")}`;
    const extra = facet.leftOut ? `; ${facet.leftOut} without a place here` : "";
    const room = Math.floor((facet.side + 90) / 7.4);
    const name = facet.panel.title.length > room ? `${facet.panel.title.slice(0, room - 1)}…` : facet.panel.title;
    return `<b>${Theme.plain(name)}</b><br>${count}${extra}`;
  }

  // Of many panels the lines have no names, and axes fewer ticks: each takes a millisecond to draw.
  const NAMED = 6;

  function annotations(facet, suffix, { x, y, axis }, named) {
    const small = { showarrow: false, font: { size: 10.5, color: Theme.color("quiet") } };
    const made = [{
      showarrow: false, text: title(facet), align: "left", xref: "paper", yref: "paper", x: facet.domainX[0], y: facet.domainY[1],
      xanchor: "left", yanchor: "bottom", yshift: 20, xshift: -40,
    }];
    if (!named) return made;
    const inside = { xref: `x${suffix}`, yref: `y${suffix}`, ...small };
    const [right, top] = [facet.range[1], facet.rangeY[1]];
    if (facet.both) made.push({ ...inside, text: "y = x", x: right, y: top, xanchor: "left", yanchor: "middle", xshift: 2 });
    if (facet.panel.chance === null) return made;
    const at = Axes.place(facet.panel.chance, NaN, axis);
    const text = `chance ${Number(facet.panel.chance.toPrecision(3))}`;
    const end = at < (facet.range[0] + facet.range[1]) / 2 ? "left" : "right";
    if (Measures.isAccuracy(x)) made.push({ ...inside, text, x: at, y: top, xanchor: end, yanchor: "bottom" });
    if (Measures.isAccuracy(y)) made.push({ ...inside, text: text.replace(" ", "<br>"), align: "left", x: right, y: at, xanchor: "left", xshift: 2 });
    return made;
  }

  function shapes(facet, suffix, { x, y, axis }) {
    const [[left, right], [bottom, top]] = [facet.range, facet.rangeY];
    const line = (x0, y0, x1, y1, dash) => ({
      type: "line", layer: "below", xref: `x${suffix}`, yref: `y${suffix}`, x0, y0, x1, y1,
      line: { width: 1, dash, color: Theme.color("quiet") },
    });
    const made = facet.both ? [line(left, left, right, right, "dash")] : [];
    if (facet.panel.chance !== null) {
      const at = Axes.place(facet.panel.chance, NaN, axis);
      if (Measures.isAccuracy(y)) made.push(line(left, at, right, at, "dot"));
      if (Measures.isAccuracy(x)) made.push(line(at, bottom, at, top, "dot"));
    }
    return made;
  }

  // Of one axis: its range and ticks. What is logarithmic stands at its logarithm.
  function ticks(measure, range, facet, axis) {
    if (Measures.isAccuracy(measure)) return Axes.ticks(axis, range, (30 / facet.side) * (range[1] - range[0]));
    return measure.log ? Axes.powers(range, (45 / facet.side) * (range[1] - range[0])) : {};
  }

  function layout(facets, width, height, view, drag) {
    const made = Theme.layout({
      width, height, dragmode: drag === "box" ? "select" : drag, hovermode: "closest", shapes: [], annotations: [], selections: [],
      newselection: { line: { color: Theme.color("fg"), width: 1.5 } },
      // Labels of the axes and modebar stay clear of the first title.
      modebar: { orientation: "v", bgcolor: "rgba(0,0,0,0)", color: Theme.color("quiet"), activecolor: Theme.color("fg") },
    });
    facets.forEach((facet, number) => {
      const suffix = number ? String(number + 1) : "";
      const { x, y, axis } = view;
      const [ofX, ofY] = [[x, facet.range], [y, facet.rangeY]].map(([measure, range]) => ({
        range: [...range], nticks: facets.length <= NAMED ? 6 : 4, ticklabeloverflow: "allow", ...ticks(measure, range, facet, axis),
      }));
      made[`xaxis${suffix}`] = Theme.axis({ ...ofX, domain: facet.domainX, anchor: `y${suffix}`, title: { text: Theme.plain(Measures.axisName(x, axis)), standoff: 6 } });
      made[`yaxis${suffix}`] = Theme.axis({ ...ofY, domain: facet.domainY, anchor: `x${suffix}`, title: { text: Theme.plain(Measures.axisName(y, axis)), standoff: 4 } });
      made.annotations.push(...annotations(facet, suffix, view, facets.length <= NAMED));
      made.shapes.push(...shapes(facet, suffix, view));
    });
    return made;
  }

  let given = {}; // the ranges of the axes, as they were drawn

  // Where a reader has zoomed into a panel, it stays so.
  function keepZoom(made) {
    for (const [name, range] of Object.entries(given)) {
      const now = div.layout[name] && div.layout[name].range;
      if (now && made[name] && now.some((end, i) => end !== range[i])) made[name].range = [...now];
      else delete given[name];
    }
  }

  // facets: with their lines; view: both measures and the axis of accuracies; selected: rows that a
  // lasso kept, or null for all; zoomed: whether to keep what a reader has zoomed into.
  function draw(facets, view, { drag, selected, zoomed }) {
    const width = Theme.width(div);
    const height = Facets.arrange(facets, width);
    traces = facets.map((facet, number) => pointTrace(facet, number, selected));
    const over = facets.flatMap((facet, number) => [...lineTraces(facet, number), ringTrace(facet, number)]);
    const made = layout(facets, width, height, view, drag);
    if (zoomed) keepZoom(made);
    else given = {};
    for (const name of Object.keys(made)) if (/^[xy]axis/.test(name)) given[name] ||= [...made[name].range];
    return Theme.react(div, [...traces, ...over], made, Theme.CONFIG);
  }

  const rowOf = (point) => (traces[point.curveNumber] ? traces[point.curveNumber].rows[point.pointNumber] : undefined);

  function listen({ hover, leave, click, select, deselect }) {
    div.on("plotly_hover", (event) => {
      const row = rowOf(event.points[0]);
      if (row !== undefined) hover(row, event.event);
    });
    div.on("plotly_unhover", leave);
    div.on("plotly_selecting", leave);
    div.on("plotly_click", (event) => {
      const row = rowOf(event.points[0]);
      if (row !== undefined) click(row);
    });
    div.on("plotly_selected", (event) => {
      // plotly says so again, of no points, when a drawing takes the outline away.
      if (event && event.points.length) select(event.points.map(rowOf).filter((row) => row !== undefined));
    });
    div.on("plotly_deselect", deselect);
  }

  return { draw, listen, TYPE };
})();
