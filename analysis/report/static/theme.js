"use strict";
// Colours of the charts in light, in dark and on paper.

const Theme = (() => {
  let onPaper = false;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const PAPER = { fg: "#000000", quiet: "#444444", line: "#999999", grid: "#e4e4e4", bg: "#ffffff" };

  function color(name) {
    if (onPaper) return PAPER[name];
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  const parts = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

  // An optimizer's colour, which has another shade on a dark page.
  function ofLook(look, alpha = 1) {
    const rgb = parts(dark.matches && !onPaper ? look.dark : look.color);
    return `rgba(${rgb.join(",")},${alpha})`;
  }

  // What every chart has in common.
  function layout(extra) {
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      font: { family: "system-ui, Roboto, Liberation Sans, sans-serif", size: 12, color: color("fg") },
      margin: { l: 0, r: 0, t: 0, b: 0 }, ...extra,
    };
  }

  function axis(extra) {
    return {
      gridcolor: color("grid"), linecolor: color("line"), zeroline: false, showline: true, ticks: "outside",
      tickcolor: color("line"), ticklen: 4, ...extra,
    };
  }

  // plotly reads some HTML in its texts; names are shown as they are.
  const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  const CONFIG = {
    displaylogo: false, responsive: false, doubleClick: "reset+autosize",
    // Twice as fine, as plotly has it, takes four times as long where no GPU draws.
    plotGlPixelRatio: devicePixelRatio,
    // By name, so that a new plotly cannot add one that sends data somewhere.
    modeBarButtons: [["zoomIn2d", "zoomOut2d", "pan2d", "resetScale2d", "toImage"]],
  };

  const PAPER_WIDTH = 660; // of A4 within its margins, in CSS pixels
  const width = (element) => (onPaper ? PAPER_WIDTH : Math.floor(element.clientWidth));

  // Draw; a reader who does not see the chart has its numbers in a table.
  async function react(div, traces, layout, config) {
    await Plotly.react(div, traces, layout, config);
    for (const svg of div.querySelectorAll(".main-svg")) svg.setAttribute("aria-hidden", "true");
  }

  // Draw again whenever the colours or the width of the page change.
  function whenChanged(draw) {
    dark.addEventListener("change", draw);
    let waiting = 0;
    let last = innerWidth;
    addEventListener("resize", () => {
      if (innerWidth === last) return; // a phone's address bar comes and goes
      last = innerWidth;
      clearTimeout(waiting);
      waiting = setTimeout(draw, 150);
    });
    addEventListener("beforeprint", () => { onPaper = true; draw(); });
    addEventListener("afterprint", () => { onPaper = false; draw(); });
  }

  return { printing: () => onPaper, color, ofLook, layout, axis, plain, CONFIG, width, react, whenChanged };
})();
