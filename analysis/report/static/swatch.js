"use strict";
// The small symbols beside optimizers' names, like those in the charts.

const Swatch = (() => {
  const ring = (corners, turn, radius = () => 5) =>
    Array.from({ length: corners }, (_, i) => {
      const angle = ((turn + (360 * i) / corners) * Math.PI) / 180;
      return `${7 + radius(i) * Math.sin(angle)},${7 - radius(i) * Math.cos(angle)}`;
    }).join(" ");
  const CROSS = "5,2 9,2 9,5 12,5 12,9 9,9 9,12 5,12 5,9 2,9 2,5 5,5";
  const SHAPES = {
    "circle": ring(24, 0), "square": ring(4, 45, () => 6), "diamond": ring(4, 0), "pentagon": ring(5, 0),
    "triangle-up": ring(3, 0), "triangle-down": ring(3, 180), "triangle-left": ring(3, 270),
    "triangle-right": ring(3, 90), "hexagon": ring(6, 30), "hexagon2": ring(6, 0), "octagon": ring(8, 22.5),
    "diamond-tall": ring(4, 0, (i) => (i % 2 ? 3 : 6)), "star": ring(10, 0, (i) => (i % 2 ? 2.4 : 6)),
    "cross": CROSS, "x": CROSS,
  };

  function of(look) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 14 14");
    svg.setAttribute("class", "swatch");
    svg.setAttribute("aria-hidden", "true");
    const shape = document.createElementNS(svg.namespaceURI, "polygon");
    shape.setAttribute("points", SHAPES[look.symbol]);
    if (look.symbol === "x") shape.setAttribute("transform", "rotate(45 7 7)");
    shape.setAttribute("fill", look.filled ? Theme.ofLook(look) : "none");
    shape.setAttribute("stroke", Theme.ofLook(look));
    shape.setAttribute("stroke-width", "1.5");
    svg.append(shape);
    return svg;
  }

  // A list of optimizers, each with a text after its name.
  function legend(list, entries) {
    list.replaceChildren(...entries.map(([look, text]) => {
      const item = document.createElement("li");
      item.append(of(look), `${look.label}${text}`);
      return item;
    }));
  }

  return { of, legend };
})();
