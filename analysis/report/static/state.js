"use strict";
// What is shown, in the address: a link to the page with its fragment shows the same.

const State = (() => {
  const MOST = 5000; // selected points that an address can hold

  // Rows in ascending order as the gaps between them, in base 36.
  const packed = (rows) => rows.map((row, i) => (row - (i ? rows[i - 1] : 0)).toString(36)).join(".");
  function unpacked(text) {
    let row = 0;
    return text.split(".").map((gap) => (row += parseInt(gap, 36))).filter((at) => at >= 0 && at < Store.n);
  }

  // A fragment such as #x=lr&y=ood&optimizer=sgd; null for that of a section, such as #methods.
  function read(hash = location.hash) {
    return hash.includes("=") ? new URLSearchParams(hash.slice(1)) : null;
  }

  function write(params) {
    const text = params.toString();
    const address = text ? `#${text}` : location.pathname + location.search;
    if (text !== location.hash.slice(1)) history.replaceState(null, "", address);
  }

  return { MOST, packed, unpacked, read, write };
})();
