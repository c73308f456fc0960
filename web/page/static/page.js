// Renews what is shown when data arrives, sorts tables, and makes them fit. The page is read without it.
"use strict";

const live = document.getElementById("live");

function listen() {
  if (!document.querySelector("[hx-trigger*='fresh']")) return;
  const source = new EventSource("/live");
  let missed = false;
  // The server tells no faster than it can be asked; a page that nobody sees asks when it is looked at again.
  const renew = () => {
    missed = document.hidden;
    if (!missed) document.body.dispatchEvent(new CustomEvent("fresh"));
  };
  source.addEventListener("fresh", () => {
    live.textContent = "";
    renew();
  });
  document.addEventListener("visibilitychange", () => { if (missed) renew(); });
  source.addEventListener("away", () => { live.textContent = "The store does not answer; shown is what was there before."; });
  addEventListener("pagehide", () => source.close());
}

function key(cell) {
  const value = cell.dataset.sort ?? cell.textContent.trim();
  const number = Number(value);
  return value !== "" && !Number.isNaN(number) ? number : value;
}

function sort(header) {
  const table = header.closest("table");
  const place = [...header.parentNode.children].indexOf(header);
  const down = header.getAttribute("aria-sort") !== "descending";
  for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [key(row.cells[place]), row]);
  rows.sort(([a], [b]) => {
    const order = typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? 1 : -1;
    return down ? -order : order;
  });
  body.append(...rows.map(([, row]) => row));
}

// A table wider than its place is set closer. How wide one is depends on its data and on the reader's fonts.
function fit(place) {
  place.classList.remove("tight");
  place.classList.toggle("tight", place.scrollWidth > place.clientWidth);
}

const places = new ResizeObserver((entries) => entries.forEach((entry) => fit(entry.target)));

function prepare(root) {
  places.disconnect();
  for (const place of root.querySelectorAll(".scroll:has(> table)")) places.observe(place);
  for (const header of root.querySelectorAll("table.sortable th")) {
    if (header.querySelector("button") || !header.textContent.trim()) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    button.addEventListener("click", () => sort(header));
    header.replaceChildren(button);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  prepare(document);
  listen();
});
document.addEventListener("htmx:after:swap", () => prepare(document));
