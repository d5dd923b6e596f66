"use strict";
// The panels of the scatter chart: which runs each shows, the range of its axes, where it stands.

const Facets = (() => {
  const MOST = 12;
  const ROOM = { left: 56, right: 58, top: 64, bottom: 50 };
  const LEAST_SIDE = 215, LARGEST_SIDE = 520;

  // Runs that match, by panel: those with a place on the axis (by optimizer), and counts of others.
  function group(rows, axis) {
    const { id, ood, n_id: nId, n_ood: nOod } = Store.columns;
    const { codes, levels } = Store.columns.status;
    const facets = new Map();
    for (const row of rows) {
      const panel = Store.panelOf[row];
      if (panel < 0) continue;
      if (!facets.has(panel)) facets.set(panel, { panel: Store.panels[panel], number: panel, total: 0, counts: {}, looks: new Map(), leftOut: 0 });
      const facet = facets.get(panel);
      const status = levels[codes[row]];
      facet.total++;
      facet.counts[status] = (facet.counts[status] || 0) + 1;
      if (status !== "completed") continue;
      const x = Axes.place(id.numbers[row], nId ? nId.numbers[row] : NaN, axis);
      const y = Axes.place(ood.numbers[row], nOod ? nOod.numbers[row] : NaN, axis);
      if (!Number.isFinite(x) || !Number.isFinite(y)) {
        facet.leftOut++;
        continue;
      }
      const look = Store.lookOf[row];
      if (!facet.looks.has(look)) facet.looks.set(look, { rows: [], x: [], y: [] });
      const points = facet.looks.get(look);
      points.rows.push(row);
      points.x.push(x);
      points.y.push(y);
    }
    const ordered = [...facets.values()].sort((a, b) => a.number - b.number);
    for (const facet of ordered) facet.n = [...facet.looks.values()].reduce((n, points) => n + points.x.length, 0);
    return { facets: ordered.slice(0, MOST), hidden: ordered.slice(MOST) };
  }

  // One range for both axes, shared by the panels of one dataset and test side: y = x is a diagonal.
  function setRanges(facets, axis) {
    const ends = new Map();
    for (const facet of facets) {
      const key = JSON.stringify([facet.panel.dataset, facet.panel.test_environments]);
      facet.key = key;
      if (!ends.has(key)) ends.set(key, [Infinity, -Infinity]);
      const range = ends.get(key);
      const widen = (value) => {
        if (value < range[0]) range[0] = value;
        if (value > range[1]) range[1] = value;
      };
      for (const { x, y } of facet.looks.values()) {
        x.forEach(widen);
        y.forEach(widen);
      }
      if (facet.panel.chance !== null) widen(Axes.place(facet.panel.chance, NaN, axis));
    }
    for (const facet of facets) {
      const [low, high] = ends.get(facet.key);
      const margin = Math.max(0.05 * (high - low), axis === "accuracy" ? 0.02 : 0.1);
      facet.range = low > high ? [0, 1] : [low - margin, high + margin];
    }
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
      facet.x = [left / width, (left + side) / width];
      facet.y = [1 - (top + side) / height, 1 - top / height];
    });
    return height || 120;
  }

  return { group, setRanges, arrange, MOST };
})();
