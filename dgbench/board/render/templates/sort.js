// Click a heading to sort by it, again to turn the order around. Empty values stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  for (const button of table.querySelectorAll("thead button")) {
    button.addEventListener("click", () => {
      const heading = button.closest("th");
      const before = heading.ariaSort;
      const order = before ? (before === "ascending" ? "descending" : "ascending") : button.dataset.first;
      for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", order);
      const value = (row) => row.cells[heading.cellIndex].dataset.value;
      const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
      const rows = [...body.rows].sort((first, second) => {
        const [a, b] = [value(first), value(second)];
        if (a === "" || b === "") return (a === "") - (b === "");
        return order === "ascending" ? compare(a, b) : compare(b, a);
      });
      body.append(...rows);
    });
  }
}
