"use strict";
// Accuracies on the axes of accuracy, logit and probit, and the ticks there.

const Axes = (() => {
  const horner = (coefficients, x) => coefficients.reduceRight((sum, c) => sum * x + c, 0);

  // The normal quantile, to 16 digits: Wichura (1988), algorithm AS 241.
  const CENTRAL = [
    [3.387132872796366608, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125,
      45921.953931549871457, 67265.770927008700853, 33430.575583588128105, 2509.0809287301226727],
    [1, 42.313330701600911252, 687.1870074920579083, 5394.1960214247511077, 21213.794301586595867,
      39307.89580009271061, 28729.085735721942674, 5226.495278852545925],
  ];
  const OUTER = [
    [1.42343711074968357734, 4.6303378461565452959, 5.7694972214606914055, 3.64784832476320460504,
      1.27045825245236838258, 0.24178072517745061177, 0.0227238449892691845833, 7.7454501427834140764e-4],
    [1, 2.05319162663775882187, 1.6763848301838038494, 0.68976733498510000455, 0.14810397642748007459,
      0.0151986665636164571966, 5.475938084995344946e-4, 1.05075007164441684324e-9],
  ];
  const FAR = [
    [6.6579046435011037772, 5.4637849111641143699, 1.7848265399172913358, 0.29656057182850489123,
      0.026532189526576123093, 0.0012426609473880784386, 2.71155556874348757815e-5, 2.01033439929228813265e-7],
    [1, 0.59983220655588793769, 0.13692988092273580531, 0.0148753612908506148525, 7.868691311456132591e-4,
      1.8463183175100546818e-5, 1.4215117583164458887e-7, 2.04426310338993978564e-15],
  ];

  function probit(p) {
    const q = p - 0.5;
    if (Math.abs(q) <= 0.425) {
      const r = 0.180625 - q * q;
      return (q * horner(CENTRAL[0], r)) / horner(CENTRAL[1], r);
    }
    const r = Math.sqrt(-Math.log(Math.min(p, 1 - p)));
    const [top, bottom, shift] = r <= 5 ? [...OUTER, 1.6] : [...FAR, 5];
    return (Math.sign(q) * horner(top, r - shift)) / horner(bottom, r - shift);
  }

  const SCALES = { accuracy: (p) => p, logit: (p) => Math.log(p / (1 - p)), probit };

  // Where an accuracy on n examples stands, as analysis.curves.axes.on_axis has it; NaN for nowhere.
  function place(accuracy, n, axis) {
    if (axis === "accuracy") return accuracy;
    const drawn = n > 0 ? Math.min(Math.max(accuracy, 0.5 / (n + 1)), (n + 0.5) / (n + 1)) : accuracy;
    return drawn > 0 && drawn < 1 ? SCALES[axis](drawn) : NaN;
  }

  const LEVELS = [0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999];

  // Ticks at round accuracies, at least `apart` axis units from one another.
  function ticks(axis, [low, high], apart) {
    if (axis === "accuracy") return {};
    const shown = [];
    for (const level of LEVELS) {
      const at = SCALES[axis](level);
      if (at < low || at > high) continue;
      if (!shown.length || at - shown[shown.length - 1].at >= apart) shown.push({ at, level });
    }
    return { tickvals: shown.map((tick) => tick.at), ticktext: shown.map((tick) => String(tick.level)) };
  }

  // Ticks at 1, 2 and 5 times powers of ten, of values that stand at their logarithm.
  function powers([low, high], apart) {
    const shown = [];
    for (let power = Math.floor(low); power <= high; power++) {
      for (const digit of high - low < 2 ? [1, 2, 5] : [1]) {
        const at = power + Math.log10(digit);
        if (at < low || at > high || (shown.length && at - shown[shown.length - 1].at < apart)) continue;
        shown.push({ at, value: Number(`${digit}e${power}`) });
      }
    }
    const name = (value) => (value >= 1e-3 && value < 1e5 ? value.toLocaleString("en") : value.toExponential(0).replace("e-", "e\u2212").replace("e+", "e"));
    return { tickvals: shown.map((tick) => tick.at), ticktext: shown.map((tick) => name(tick.value)) };
  }

  return { SCALES, place, ticks, powers };
})();
