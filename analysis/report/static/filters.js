"use strict";
// The filters: which runs match them. They are plain form controls, so that a keyboard works them.

const Filters = (() => {
  const form = document.getElementById("filter-form");
  const FIELDS = [["dataset", "Dataset"], ["side", "Test environments"], ["algorithm", "Algorithm"], ["optimizer", "Optimizer"]];
  const MOST = 12; // a hyperparameter of texts with more values than this has no boxes
  const boxes = []; // {name, code, input}
  const ranges = []; // {name, low, high}: inputs

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function label(name, code) {
    if (name === "side") return Store.sides[code].label;
    const text = Store.columns[name].levels[code];
    if (name === "optimizer") return Store.looks.find((look) => look.name === text).label;
    if (name === "algorithm") return Store.labels[text];
    return text === "" ? "none" : text;
  }

  function addBoxes(parent, name, title) {
    const { levels, codes } = Store.columns[name];
    const counts = new Uint32Array(levels.length);
    for (const code of codes) counts[code]++;
    const set = element("fieldset", {}, element("legend", { textContent: title }));
    let dataset = null;
    levels.forEach((text, code) => {
      const input = element("input", { type: "checkbox", name, value: text, checked: true });
      const swatch = name === "optimizer" ? [Swatch.of(Store.looks.find((look) => look.name === text))] : [];
      const count = element("span", { className: "count", textContent: counts[code].toLocaleString("en") });
      if (name === "side" && Store.columns.dataset.levels.length > 1 && Store.sides[code].dataset !== dataset) {
        ({ dataset } = Store.sides[code]);
        set.append(element("p", { className: "of", textContent: dataset }));
      }
      set.append(element("label", {}, input, ...swatch, label(name, code), count));
      boxes.push({ name, code, input });
    });
    set.classList.toggle("off", levels.length < 2 && name !== "optimizer");
    parent.append(set);
  }

  function addRange(parent, name) {
    const known = Store.columns[name].numbers.filter((x) => !Number.isNaN(x));
    const ends = [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
    const [low, high] = ["least", "most"].map((end, i) =>
      element("input", {
        type: "text", inputMode: "decimal", name: `${name}-${end}`, autocomplete: "off",
        placeholder: String(Number(ends[i].toPrecision(4))), ariaLabel: `${name}, ${end}`,
      }));
    const count = element("span", { textContent: `${name} (${known.length.toLocaleString("en")} runs have it)` });
    parent.append(element("div", { className: "range" }, count, low, high));
    ranges.push({ name, low, high });
  }

  function build() {
    form.replaceChildren();
    boxes.length = ranges.length = 0;
    for (const [name, title] of FIELDS) addBoxes(form, name, title);
    const more = element("details", {}, element("summary", { textContent: "Hyperparameter ranges" }));
    more.append(element("p", { className: "quiet", textContent: "A run that lacks one is left out once it has a bound." }));
    for (const name of Store.hyperparameters) {
      const { numbers, levels } = Store.columns[name];
      if (numbers) addRange(more, name);
      else if (levels.length <= MOST) addBoxes(more, name, name);
    }
    if (Store.hyperparameters.length) form.append(more);
    start();
  }

  form.addEventListener("submit", (event) => event.preventDefault());

  // The same form for more runs: what is checked, written, opened and in focus stays.
  function rebuild(filtered) {
    const params = new URLSearchParams();
    save(params);
    const { name, value, type, selectionStart } = form.contains(document.activeElement) ? document.activeElement : {};
    const open = form.querySelector("details")?.open;
    build();
    if (filtered) load(params);
    if (open) form.querySelector("details").open = true;
    const same = [...form.elements].find((one) => name && one.name === name && (one.value === value || type === "text"));
    if (same) same.focus({ preventScroll: true });
    if (same && type === "text") {
      same.value = value;
      same.setSelectionRange(selectionStart, selectionStart);
    }
  }

  const FEW_PANELS = 4, FEW_RUNS = 5000;

  function clear() {
    for (const { input } of boxes) input.checked = true;
    for (const { low, high } of ranges) low.value = high.value = "";
  }

  // Of more panels or runs, those of the first dataset and test side are shown at first.
  function start() {
    clear();
    if (Store.panels.length <= FEW_PANELS && !(Store.n > FEW_RUNS && Store.panels.length)) return;
    const first = Store.panels[0];
    const side = Store.sides.findIndex((one) => one.dataset === first.dataset && one.test_environments === first.test_environments);
    for (const { name, code, input } of boxes) {
      if (name === "dataset") input.checked = input.value === first.dataset;
      if (name === "side") input.checked = code === side;
    }
  }

  // Into an address: the boxes that are checked where some are not, and the bounds.
  function save(params) {
    for (const name of new Set(boxes.map((box) => box.name))) {
      const mine = boxes.filter((box) => box.name === name);
      if (mine.some((box) => !box.input.checked)) params.set(`only.${name}`, JSON.stringify(mine.filter((box) => box.input.checked).map((box) => box.input.value)));
    }
    for (const { name, low, high } of ranges) {
      if (low.value.trim()) params.set(`least.${name}`, low.value.trim());
      if (high.value.trim()) params.set(`most.${name}`, high.value.trim());
    }
  }

  function load(params) {
    clear();
    for (const { name, input } of boxes) {
      const kept = params.get(`only.${name}`);
      if (kept === null) continue;
      try { input.checked = JSON.parse(kept).includes(input.value); } catch { input.checked = true; }
    }
    for (const { name, low, high } of ranges) {
      low.value = params.get(`least.${name}`) || "";
      high.value = params.get(`most.${name}`) || "";
    }
  }

  // A bound: NaN if it is no number (which the field then shows), null if the field is empty.
  function bound(input) {
    const text = input.value.trim();
    const value = text === "" ? null : Number(text);
    input.setAttribute("aria-invalid", String(Number.isNaN(value)));
    input.style.borderColor = Number.isNaN(value) ? Theme.color("bad") : "";
    return Number.isNaN(value) ? null : value;
  }

  // Rows that match every filter, in the order of the data.
  function rows() {
    const allowed = {};
    for (const { name, code, input } of boxes) {
      (allowed[name] ||= new Uint8Array(Store.columns[name].levels.length))[code] = input.checked ? 1 : 0;
      input.parentElement.classList.toggle("unchecked", !input.checked);
    }
    const tests = Object.entries(allowed).map(([name, ok]) => {
      const { codes } = Store.columns[name];
      return (row) => ok[codes[row]];
    });
    for (const { name, low, high } of ranges) {
      const [least, most] = [bound(low), bound(high)];
      const { numbers } = Store.columns[name];
      if (least !== null) tests.push((row) => numbers[row] >= least);
      if (most !== null) tests.push((row) => numbers[row] <= most);
    }
    const found = [];
    for (let row = 0; row < Store.n; row++) if (tests.every((test) => test(row))) found.push(row);
    return found;
  }

  return { form, build, rebuild, start, save, load, rows, element };
})();
