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

// Filters hide rows, and the dots and pairs of the same algorithms.
for (const form of document.querySelectorAll("form.filters")) {
  form.hidden = false;
  const rows = [...document.querySelectorAll("tr[data-title]")];
  const marks = [...document.querySelectorAll("[data-name]:not([data-title])")];
  const all = new Set(rows.map((row) => row.dataset.name));
  const apply = () => {
    const asked = [...form.querySelectorAll("[data-whole], [data-part]")].filter((field) => field.value);
    const fits = (row) =>
      asked.every((field) =>
        field.dataset.whole
          ? row.dataset[field.dataset.whole] === field.value
          : row.dataset[field.dataset.part].includes(field.value.toLowerCase()),
      );
    const shown = new Set();
    for (const row of rows) {
      row.hidden = !fits(row);
      if (!row.hidden) shown.add(row.dataset.name);
    }
    for (const mark of marks) {
      mark.toggleAttribute("hidden", mark.dataset.name !== "" && all.has(mark.dataset.name) && !shown.has(mark.dataset.name));
    }
    form.querySelector("output").value = `${shown.size} of ${all.size} algorithms`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  apply();
}

// Press a target of the key to see its dots alone, again to see all.
for (const button of document.querySelectorAll("button[data-shows]")) {
  button.addEventListener("click", () => {
    const pressed = button.ariaPressed !== "true";
    for (const other of document.querySelectorAll("button[data-shows]")) {
      other.setAttribute("aria-pressed", String(other === button && pressed));
    }
    for (const path of document.querySelectorAll("path[data-target]")) {
      path.classList.toggle("dim", pressed && path.dataset.target !== button.dataset.shows);
    }
  });
}

// A link to something that is folded away unfolds it.
const unfold = () => document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest("details")?.setAttribute("open", "");
addEventListener("hashchange", unfold);
unfold();
