"use strict";
// A straight line by ordinary least squares: the same as analysis.curves.lines.fit_line.

const Fit = (() => {
  // x, y: places on an axis, NaN for none. Returns slope, intercept, r2, n, leftOut, low, high.
  function line(x, y) {
    const rows = [];
    for (let i = 0; i < x.length; i++) if (Number.isFinite(x[i]) && Number.isFinite(y[i])) rows.push(i);
    const n = rows.length;
    const result = { slope: NaN, intercept: NaN, r2: NaN, n, leftOut: x.length - n, low: NaN, high: NaN };
    let [meanX, meanY, low, high] = [0, 0, Infinity, -Infinity];
    for (const i of rows) {
      meanX += x[i] / n;
      meanY += y[i] / n;
      low = Math.min(low, x[i]);
      high = Math.max(high, x[i]);
    }
    if (n < 3 || low === high) return result;
    let [xx, xy, yy] = [0, 0, 0]; // sums of centred products
    for (const i of rows) {
      xx += (x[i] - meanX) ** 2;
      xy += (x[i] - meanX) * (y[i] - meanY);
      yy += (y[i] - meanY) ** 2;
    }
    const slope = xy / xx;
    const r2 = yy > 0 ? xy ** 2 / (xx * yy) : NaN;
    return { ...result, slope, intercept: meanY - slope * meanX, r2, low, high };
  }

  const FEWEST = 10, LEAST = 0.1; // points, and share of the variance, below which a line says little

  // Why a line is not supported; empty if nothing speaks against it. verdict: of the return curve of
  // the same runs, where there is one.
  function doubt(fit, verdict) {
    if (fit.n < FEWEST) return `fewer than ${FEWEST} points`;
    if (!(fit.r2 >= LEAST)) return `it explains less than ${100 * LEAST}% of the variance`;
    return verdict && !["linear", "not determined"].includes(verdict) ? `the return curve is ${verdict}, not linear` : "";
  }

  return { line, doubt };
})();
