"use strict";
// Runs that failed or diverged, the latest first, with the reason that their worker stored.

const Failures = (() => {
  const { element } = Filters;
  const MOST = 20; // of each kind
  const items = new Map(); // what is shown of a run, by its id, row and time: it stays open

  const when = (seconds) => new Date(1000 * seconds).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

  async function fill(log, run) {
    log.textContent = "Asking for the worker's log.";
    try {
      const reply = await Ask.the("log", { run });
      log.textContent = reply.problem || [reply.log || reply.worker, reply.text].filter(Boolean).join("\n\n");
    } catch (error) {
      log.textContent = `The log cannot be had: ${error.message}`;
    }
  }

  function made(row) {
    const [run, status] = [Store.value("run", row), Store.value("status", row)];
    const link = element("a", { className: "run", href: `#run=${encodeURIComponent(run)}`, textContent: run });
    const log = element("pre", { tabIndex: 0 });
    const panel = Store.panels[Store.panelOf[row]];
    const summary = element("summary", {}, element("strong", { className: status, textContent: status }),
      ` ${when(Store.value("finished", row))} ${Run.label(row)}, ${panel ? panel.title : Store.value("dataset", row)}: `, element("span", { className: "quiet", textContent: Store.value("reason", row) }));
    const details = element("details", { className: "fold" }, summary, element("p", {}, "Run ", link), log);
    details.addEventListener("toggle", () => { if (details.open) fill(log, run); });
    return details;
  }

  function itemOf(row) {
    const key = [row, Store.value("finished", row)].join();
    if (!items.has(key)) items.set(key, made(row));
    return items.get(key);
  }

  let shown = "";

  function show() {
    const [failed, diverged] = ["failed", "diverged"].map((status) => {
      const rows = Array.from({ length: Store.n }, (_, row) => row).filter((row) => Store.value("status", row) === status);
      return rows.sort((a, b) => Store.value("finished", b) - Store.value("finished", a));
    });
    const counts = [[failed, "failed"], [diverged, "diverged"]].filter(([rows]) => rows.length).map(([rows, word]) => {
      const latest = rows.length > MOST ? `, the latest ${MOST} are below` : "";
      return `${Progress.number(rows.length)} ${word}${latest}`;
    });
    document.getElementById("failure-counts").textContent = counts.length ? `${counts.join("; ")}. A diverged run is a result, a failed one a fault: open it for the end of its worker's log.` : "No run has failed or diverged.";
    const rows = [...failed.slice(0, MOST), ...diverged.slice(0, MOST)];
    if (rows.join() === shown) return;
    shown = rows.join();
    document.getElementById("failure-list").replaceChildren(...rows.map(itemOf));
  }

  return { show };
})();
