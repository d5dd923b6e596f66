"use strict";
// Workers, and what they train: whoever holds runs, whatever started it.

const Workers = (() => {
  const { element } = Filters;

  // Seconds for a reader.
  function duration(seconds) {
    if (seconds < 100) return `${Math.max(0, Math.round(seconds))} s`;
    if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
    return `${(seconds / 3600).toFixed(1)} h`;
  }

  // now: on the database's clock, as all times are.
  function item(worker, now) {
    const [host, name] = worker.owner.split(":");
    const lost = worker.lease < now;
    const facts = [`${Progress.number(worker.runs)} of ${worker.what}`, `for ${duration(now - worker.since)}`, ...(worker.says ? [worker.says] : [])];
    return element("li", { title: worker.owner },
      element("strong", { textContent: name || host }), element("span", { className: "quiet", textContent: name ? ` on ${host}` : "" }),
      element("div", { textContent: facts.join(", ") }),
      ...(lost ? [element("div", { className: "bad", textContent: "It has not shown up: others may take its runs." })] : []));
  }

  const MOST = 24;

  function show(workers, now) {
    const parent = document.getElementById("workers");
    if (!workers.length) {
      parent.replaceChildren(element("p", { className: "quiet", textContent: "No worker holds a run." }));
      return;
    }
    const more = workers.length - MOST;
    parent.replaceChildren(
      element("ul", { className: "plain" }, ...workers.slice(0, MOST).map((worker) => item(worker, now))),
      ...(more > 0 ? [element("p", { className: "quiet", textContent: `${Progress.number(more)} more hold runs.` })] : []));
  }

  return { show };
})();
