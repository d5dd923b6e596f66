"use strict";
// The data behind what is shown, as CSV (RFC 4180); numbers have all their digits.

const Csv = (() => {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  // A spreadsheet would run these; numbers are none (as oodbench.results.spreadsheets has it).
  const isFormula = (text) => /^'*[=+\-@\t\r\n]/.test(text) && Number.isNaN(Number(text));
  const safe = (text) => quoted(isFormula(text) ? `'${text}` : text);
  const field = (value) => (value === null ? "" : safe(String(value)));

  function text(rows) {
    const lines = rows.map((row) => Store.names.map((name) => field(Store.value(name, row))).join(","));
    return [Store.names.map(safe).join(","), ...lines].join("\r\n") + "\r\n";
  }

  function download(rows, name) {
    const address = URL.createObjectURL(new Blob([text(rows)], { type: "text/csv" }));
    const link = Filters.element("a", { href: address, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  return { text, download };
})();
