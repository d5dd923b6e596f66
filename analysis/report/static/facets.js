"use strict";
// The panels of the scatter chart: which runs each shows, the range of its axes, where it stands.

const Facets = (() => {
  const MOST = 12;
  const ROOM = { left: 56, right: 58, top: 64, bottom: 50 };
  const LEAST_SIDE = 215, LARGEST_SIDE = 520;

  // More points than this take seconds to draw: a sample of them is drawn. While one filters, a
  // smaller sample is there at once, and the others follow.
  const DRAWN = 40000;
  const AT_ONCE = 2000;

  // A fixed random order of the runs, in which none of the optimizers covers the others.
  function place(row) {
    let mixed = row + 1;
    for (const factor of [0x85ebca6b, 0xc2b2ae35]) mixed = Math.imul(mixed ^ (mixed >>> 15), factor);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  }
  function shuffled(rows) {
    const places = rows.map(place);
    return rows.map((_, i) => i).sort((a, b) => places[a] - places[b]);
  }

  // Runs that match, by panel: those with a place on both axes, and counts of others. Of the points
  // as many are drawn as a chart may have, at random; with those that the rule selects.
  function group(rows, { x: xMeasure, y: yMeasure, axis }, mostDrawn = DRAWN) {
    const { codes, levels } = Store.columns.status;
    const facets = new Map();
    for (const row of rows) {
      const panel = Store.panelOf[row];
      if (panel < 0) continue;
      if (!facets.has(panel)) facets.set(panel, { panel: Store.panels[panel], number: panel, total: 0, counts: {}, rows: [], x: [], y: [], leftOut: 0 });
      const facet = facets.get(panel);
      const status = levels[codes[row]];
      facet.total++;
      facet.counts[status] = (facet.counts[status] || 0) + 1;
      if (status !== "completed") continue;
      const x = Measures.place(xMeasure, row, axis);
      const y = Measures.place(yMeasure, row, axis);
      if (!Number.isFinite(x) || !Number.isFinite(y)) {
        facet.leftOut++;
        continue;
      }
      facet.rows.push(row);
      facet.x.push(x);
      facet.y.push(y);
    }
    const ordered = [...facets.values()].sort((a, b) => a.number - b.number);
    for (const facet of ordered) facet.n = facet.rows.length;
    const shown = ordered.slice(0, MOST);
    const points = shown.reduce((n, facet) => n + facet.n, 0);
    const share = Math.min(1, Math.min(mostDrawn, DRAWN) / points);
    for (const facet of shown) {
      const mixed = shuffled(facet.rows);
      const most = Math.ceil(facet.n * share);
      facet.drawn = mixed.filter((i, place) => place < most || Store.selected.has(facet.rows[i]));
    }
    return { facets: shown, hidden: ordered.slice(MOST), partly: mostDrawn < Math.min(points, DRAWN) };
  }

  // The indices of a facet's points by optimizer, in the order of the optimizers.
  function byLook(facet) {
    const found = new Map();
    facet.rows.forEach((row, i) => {
      const look = Store.lookOf[row];
      if (!found.has(look)) found.set(look, []);
      found.get(look).push(i);
    });
    return [...found].sort(([a], [b]) => a - b);
  }

  // Ranges that the panels of one dataset and test side share. Of two accuracies both axes have the
  // same one, so that y = x is a diagonal; chance is in it where an accuracy stands there.
  function setRanges(facets, { x, y, axis }) {
    const both = Measures.isAccuracy(x) && Measures.isAccuracy(y);
    const ends = new Map();
    for (const facet of facets) {
      facet.both = both;
      facet.key = JSON.stringify([facet.panel.dataset, facet.panel.test_environments]);
      if (!ends.has(facet.key)) ends.set(facet.key, { x: [Infinity, -Infinity], y: [Infinity, -Infinity] });
      for (const [name, measure] of [["x", x], ["y", y]]) {
        const range = ends.get(facet.key)[both ? "x" : name];
        const widen = (value) => {
          if (value < range[0]) range[0] = value;
          if (value > range[1]) range[1] = value;
        };
        facet[name].forEach(widen);
        if (Measures.isAccuracy(measure) && facet.panel.chance !== null) widen(Axes.place(facet.panel.chance, NaN, axis));
      }
    }
    for (const facet of facets) {
      const { x: ofX, y: ofY } = ends.get(facet.key);
      facet.range = padded(ofX, Measures.isAccuracy(x), axis);
      facet.rangeY = both ? facet.range : padded(ofY, Measures.isAccuracy(y), axis);
    }
  }

  function padded([low, high], accuracy, axis) {
    if (low > high) return [0, 1];
    const least = accuracy ? (axis === "accuracy" ? 0.02 : 0.1) : 0.02 * (high - low) || 1;
    const margin = Math.max(0.05 * (high - low), least);
    return [low - margin, high + margin];
  }

  // Squares in as many columns as fit; domains are fractions of the chart, from its lower left.
  function arrange(facets, width) {
    const cell = LEAST_SIDE + ROOM.left + ROOM.right;
    const fit = Math.max(1, Math.floor(width / cell));
    const columns = Math.min(facets.length, fit, facets.length === 4 ? 2 : 3) || 1;
    const side = Math.min(width / columns - ROOM.left - ROOM.right, LARGEST_SIDE);
    const tall = side + ROOM.top + ROOM.bottom;
    const height = Math.ceil(facets.length / columns) * tall;
    facets.forEach((facet, i) => {
      const left = (i % columns) * (side + ROOM.left + ROOM.right) + ROOM.left;
      const top = Math.floor(i / columns) * tall + ROOM.top;
      facet.side = side;
      facet.domainX = [left / width, (left + side) / width];
      facet.domainY = [1 - (top + side) / height, 1 - top / height];
    });
    return height || 120;
  }

  return { group, byLook, setRanges, arrange, AT_ONCE };
})();
