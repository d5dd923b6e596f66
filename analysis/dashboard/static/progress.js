"use strict";
// How far all is, and each study: a bar, and numbers beside it.

const Progress = (() => {
  const get = (id) => document.getElementById(id);
  const { element } = Filters;
  const STATES = ["completed", "diverged", "failed", "running", "waiting"];
  const ENDED = STATES.slice(0, 3);
  const number = (n) => n.toLocaleString("en");
  const sum = (counts, states) => states.reduce((total, state) => total + counts[state], 0);

  // Parts of a bar, each as wide as its share; what waits is the empty rest.
  function fillBar(bar, counts) {
    const total = sum(counts, STATES) || 1;
    bar.replaceChildren(...STATES.slice(0, 4).filter((state) => counts[state]).map((state) => {
      const part = element("span", { className: state });
      part.style.width = `${(100 * counts[state]) / total}%`;
      return part;
    }));
  }

  function showTotals(totals) {
    const [ended, total] = [sum(totals, ENDED), sum(totals, STATES)];
    const facts = [
      ["ended", `${number(ended)} of ${number(total)}`], ["running", number(totals.running)], ["diverged", number(totals.diverged)],
      ["failed", number(totals.failed)], ["rate", totals.rate || "–"], ["time left", totals.left || "–"],
      ["best ID validation", totals.best === null ? "–" : totals.best.toFixed(3)],
    ];
    get("totals").replaceChildren(...facts.map(([name, value]) => element("div", { className: STATES.includes(name) ? name : "" }, element("dt", { textContent: name }), element("dd", { textContent: value }))));
    fillBar(get("bar"), totals);
    get("bar").ariaLabel = `Models: ${STATES.map((state) => `${number(totals[state])} ${state}`).join(", ")}`;
    document.title = total ? `${Math.floor((100 * ended) / total)}%: ${document.querySelector("h1").textContent}` : document.title;
  }

  function row(study) {
    const bar = element("div", { className: "bar" });
    fillBar(bar, study);
    const ended = element("span", { className: "ended", textContent: `${number(sum(study, ENDED))} of ${number(study.total)}` });
    const what = element("td", { className: "study" }, element("strong", { textContent: study.label }), ended, element("div", { className: "quiet", textContent: study.place }), bar);
    const cells = [study.rate || "–", study.left || "–", ...["running", "diverged", "failed"].map((state) => number(study[state]))];
    return element("tr", {}, what, ...cells.map((text) => element("td", { className: "number", textContent: text })));
  }

  function table(parent, studies, label) {
    const heads = ["study", "rate", "time left", "running", "diverged", "failed"];
    const head = element("tr", {}, ...heads.map((text, i) => element("th", { scope: "col", textContent: text, className: i ? "number" : "" })));
    const filled = element("table", {}, element("thead", {}, head), element("tbody", {}, ...studies.map(row)));
    parent.replaceChildren(element("div", { className: "scroll", tabIndex: 0, role: "group", ariaLabel: label }, filled));
  }

  function fold(name, studies, text) {
    const parent = get(`${name}-fold`);
    parent.hidden = !studies.length;
    parent.querySelector("summary").textContent = `${number(studies.length)} ${studies.length === 1 ? "study" : "studies"} ${text}`;
    if (studies.length) table(get(name), studies, `Studies ${text}`);
  }

  // Those in training; those that wait and those that are done are folded.
  function showStudies(studies) {
    const training = studies.filter((study) => study.running);
    const waiting = studies.filter((study) => !study.running && study.waiting);
    const done = studies.filter((study) => !study.running && !study.waiting);
    if (training.length) table(get("studies"), training, "Studies in training");
    else get("studies").replaceChildren(element("p", { className: "quiet", textContent: "No study is in training." }));
    fold("waiting", waiting, "to come");
    fold("done", done, "done");
  }

  // What searches that stop when decided are drawn for.
  function showStatements(rows) {
    get("statements-part").hidden = !rows.length;
    const heads = rows.length ? Object.keys(rows[0]) : [];
    const cells = (texts, tag) => element("tr", {}, ...texts.map((text) => element(tag, { textContent: text })));
    const filled = element("table", {}, element("thead", {}, cells(heads, "th")), element("tbody", {}, ...rows.map((row) => cells(Object.values(row), "td"))));
    get("statements").replaceChildren(element("div", { className: "scroll", tabIndex: 0, role: "group", ariaLabel: "Statements" }, filled));
  }

  return { showTotals, showStudies, showStatements, number };
})();
