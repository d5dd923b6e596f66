"use strict";
// The scatter chart: every run that is shown as a point, lines, y = x, chance.

const Scatter = (() => {
  const div = document.getElementById("scatter");
  const canvas = document.createElement("canvas");
  const TYPE = canvas.getContext("webgl2") || canvas.getContext("webgl") ? "scattergl" : "scatter";
  let traces = []; // those of points, in the order of plotly's curve numbers

  function pointTraces(facet, number, selected) {
    const suffix = number ? String(number + 1) : "";
    const [size, alpha] = facet.n <= 300 ? [8, 0.75] : facet.n <= 2000 ? [6, 0.55] : [4, 0.4];
    return [...facet.looks].map(([number, { x, y, rows }]) => {
      const look = Store.looks[number];
      return {
        type: TYPE, mode: "markers", x, y, rows, hoverinfo: "none", xaxis: `x${suffix}`, yaxis: `y${suffix}`,
        marker: {
          size, opacity: alpha, color: Theme.ofLook(look), symbol: look.symbol + (look.filled ? "" : "-open"),
          line: { width: look.filled ? 0 : 1, color: Theme.ofLook(look) },
        },
        unselected: { marker: { opacity: 0.07 } },
        ...(selected ? { selectedpoints: rows.flatMap((row, i) => (selected.has(row) ? [i] : [])) } : {}),
      };
    });
  }

  function lineTraces(facet, number) {
    const suffix = number ? String(number + 1) : "";
    return facet.lines.filter(({ fit }) => Number.isFinite(fit.slope)).map(({ look, fit }) => ({
      type: "scatter", mode: "lines", hoverinfo: "skip", xaxis: `x${suffix}`, yaxis: `y${suffix}`,
      x: [fit.low, fit.high], y: [fit.low, fit.high].map((x) => fit.intercept + fit.slope * x),
      line: { width: 2, color: look ? Theme.ofLook(look) : Theme.color("fg") },
    }));
  }

  // The panel's name, and how many runs stand behind it; small enough for its width.
  function title(facet) {
    const lost = ["diverged", "failed"].map((status) => `${(facet.counts[status] || 0).toLocaleString("en")} ${status}`);
    const count = `n = ${facet.n.toLocaleString("en")} of ${facet.total.toLocaleString("en")} runs; ${lost.join(", ")}`;
    const extra = facet.leftOut ? `; ${facet.leftOut} without a place here` : "";
    const room = Math.floor((facet.side + 95) / 7);
    const name = facet.panel.title.length > room ? `${facet.panel.title.slice(0, room - 1)}…` : facet.panel.title;
    return `<b>${Theme.plain(name)}</b><br>${count}${extra}`;
  }

  function annotations(facet, suffix, axis) {
    const small = { showarrow: false, font: { size: 10.5, color: Theme.color("quiet") } };
    const made = [{
      showarrow: false, text: title(facet), align: "left", xref: "paper", yref: "paper", x: facet.x[0], y: facet.y[1],
      xanchor: "left", yanchor: "bottom", yshift: 20, xshift: -40,
    }];
    const inside = { xref: `x${suffix}`, yref: `y${suffix}`, ...small };
    made.push({ ...inside, text: "y = x", x: facet.range[1], y: facet.range[1], xanchor: "left", yanchor: "middle", xshift: 2 });
    if (facet.panel.chance === null) return made;
    const at = Axes.place(facet.panel.chance, NaN, axis);
    const text = `chance ${Number(facet.panel.chance.toPrecision(3))}`;
    const end = at < (facet.range[0] + facet.range[1]) / 2 ? "left" : "right";
    made.push({ ...inside, text, x: at, y: facet.range[1], xanchor: end, yanchor: "bottom" });
    made.push({ ...inside, text: text.replace(" ", "<br>"), align: "left", x: facet.range[1], y: at, xanchor: "left", xshift: 2 });
    return made;
  }

  function shapes(facet, suffix, axis) {
    const [low, high] = facet.range;
    const line = (x0, y0, x1, y1, dash) => ({
      type: "line", layer: "below", xref: `x${suffix}`, yref: `y${suffix}`, x0, y0, x1, y1,
      line: { width: 1, dash, color: Theme.color("quiet") },
    });
    const made = [line(low, low, high, high, "dash")];
    if (facet.panel.chance !== null) {
      const at = Axes.place(facet.panel.chance, NaN, axis);
      made.push(line(low, at, high, at, "dot"), line(at, low, at, high, "dot"));
    }
    return made;
  }

  function layout(facets, width, height, axis, drag) {
    const made = Theme.layout({
      width, height, dragmode: drag === "box" ? "select" : drag, hovermode: "closest", shapes: [], annotations: [], selections: [],
      newselection: { line: { color: Theme.color("fg"), width: 1.5 } },
      // Labels of the axes and modebar stay clear of the first title.
      modebar: { orientation: "v", bgcolor: "rgba(0,0,0,0)", color: Theme.color("quiet"), activecolor: Theme.color("fg") },
    });
    facets.forEach((facet, number) => {
      const suffix = number ? String(number + 1) : "";
      const apart = (30 / facet.side) * (facet.range[1] - facet.range[0]);
      const name = axis === "accuracy" ? "accuracy" : `accuracy (${axis} axis)`;
      const common = { range: [...facet.range], ...Axes.ticks(axis, facet.range, apart), nticks: 6 };
      made[`xaxis${suffix}`] = Theme.axis({ ...common, domain: facet.x, anchor: `y${suffix}`, title: { text: `ID ${name}`, standoff: 6 } });
      made[`yaxis${suffix}`] = Theme.axis({ ...common, domain: facet.y, anchor: `x${suffix}`, title: { text: `OOD ${name}`, standoff: 4 } });
      made.annotations.push(...annotations(facet, suffix, axis));
      made.shapes.push(...shapes(facet, suffix, axis));
    });
    return made;
  }

  // facets: with their lines; selected: rows that a lasso kept, or null for all.
  function draw(facets, { axis, drag, selected }) {
    const width = Theme.width(div);
    const height = Facets.arrange(facets, width);
    traces = facets.flatMap((facet, number) => pointTraces(facet, number, selected));
    const lines = facets.flatMap(lineTraces);
    return Plotly.react(div, [...traces, ...lines], layout(facets, width, height, axis, drag), Theme.CONFIG);
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

  return { draw, listen };
})();
