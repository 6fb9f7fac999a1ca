// Judge by another measure: the same rows with numbers that were computed before. Accuracy comes back as it stood.
const measures = JSON.parse(document.getElementById("measures").textContent);
const tracks = [...document.querySelectorAll("section.track table")];
const heats = [...document.querySelectorAll("table.heats")];
const grid = document.head.appendChild(document.createElement("style"));
const judges = document.querySelector("form.judges");

const drawn = (name, attributes, text = "") => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
};

// A number, and smaller beside or below it what belongs to it.
const put = (cell, value, said, more, kind) => {
  cell.dataset.value = value ?? "";
  cell.replaceChildren(said ?? "–");
  if (!more) return;
  const note = cell.appendChild(document.createElement(kind === "margin" ? "span" : "small"));
  if (kind === "margin") note.className = kind;
  note.textContent = kind === "margin" ? ` ${more}` : more;
};

const whisker = (cell, said, at, ends, rises) => {
  const svg = cell.querySelector("svg");
  const line = (x1, x2, y1, y2) => drawn("line", { x1: `${x1}%`, x2: `${x2}%`, y1, y2 });
  const bar = ends?.length ? [line(ends[0], ends[1], 10, 10), ...ends.slice(2).map((end) => line(end, end, 6, 14))] : [];
  const dot = drawn("circle", { cx: `${at}%`, cy: 10, r: 4 });
  const beyond = drawn("text", { class: rises ? "beyond" : "beyond end", x: rises ? "0" : "100%", y: 14 }, rises ? "◂" : "▸");
  svg.replaceChildren(...(said === undefined ? [] : at === null ? [beyond] : [...bar, dot]));
  svg.setAttribute("aria-label", said ?? "no value");
};

const place = (row, rank, order) => {
  row.classList.toggle("band", rank?.split("–")[0] === "1");
  row.classList.toggle("unranked", order == null);
  put(row.querySelector("td.rank"), order, rank);
};

const judgeTrack = (table, measure, rows) => {
  const heading = table.querySelector("th.value");
  const button = heading.querySelector("button");
  const order = measure.rises ? "descending" : "ascending";
  button.textContent = measure.title;
  button.title = measure.caption;
  button.dataset.first = order;
  table.querySelector("[data-judged]").textContent = measure.title;
  for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order);
  const ticks = measure.ticks.map(([x, said]) => drawn("text", { x: `${x}%`, y: 12 }, said));
  table.querySelector(".axis svg").replaceChildren(...ticks);
  for (const row of table.tBodies[0].rows) {
    const [rank, sorted, value, said, margin, at, ends, worst, difference] = rows.get(row.dataset.name) ?? [];
    place(row, rank, sorted);
    put(row.querySelector("td.value"), value, said, margin, "margin");
    put(row.querySelector("td.worst"), worst?.[0], worst?.[1], worst?.[2]);
    put(row.querySelector("td.difference"), difference?.[0], difference?.[1], difference?.[2], "margin");
    whisker(row.querySelector("td.plot"), said && `${said} ${margin}`, at, ends, measure.rises);
  }
};

const judgeTargets = (table, measure, rows) => {
  for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
  for (const row of table.tBodies[0].rows) {
    const cells = rows.get(row.dataset.name) ?? [];
    place(row, cells[0], cells[1]);
    row.querySelectorAll("td.heat").forEach((cell, at) => {
      const said = cells[9]?.[at];
      const value = said && Number(said.replace("−", "-"));
      const [low, high] = measure.ends[at] ?? [];
      const share = high > low ? (value - low) / (high - low) : 0.5;
      put(cell, value, said);
      cell.removeAttribute("title");
      cell.classList.toggle("faint", !said);
      cell.style.setProperty("--heat", said ? Math.round(100 * (measure.rises ? share : 1 - share)) : 0);
    });
  }
};

// What stood in the tables before the first switch: rows in their order, and a copy of each part that is written over.
let before = null;
const parts = "thead th, .axis, [data-judged], tbody tr, td.rank, td.value, td.worst, td.difference, td.plot, td.heat";
const remember = () =>
  [...tracks, ...heats].map((table) => ({
    body: table.tBodies[0],
    rows: [...table.tBodies[0].rows],
    parts: [...table.querySelectorAll(parts)].map((part) => [part, part.cloneNode(part.localName !== "tr")]),
  }));
const like = (part, copy) => {
  for (const name of ["class", "style", "title", "data-value", "data-first", "aria-sort"]) {
    if (copy.hasAttribute(name)) part.setAttribute(name, copy.getAttribute(name));
    else part.removeAttribute(name);
  }
};
const restore = () => {
  for (const { body, rows, parts } of before ?? []) {
    body.append(...rows);
    for (const [part, copy] of parts) {
      like(part, copy);
      // rows keep their cells, and headings their buttons, which listen
      const written = part.querySelector(":scope > button") ?? part;
      const old = copy.querySelector(":scope > button") ?? copy;
      if (written !== part) like(written, old);
      if (part.localName !== "tr") written.replaceChildren(...old.cloneNode(true).childNodes);
    }
  }
};

const judge = (name) => {
  const measure = measures[name];
  const rows = new Map(measure?.rows);
  before ??= measure ? remember() : null;
  restore();
  document.body.toggleAttribute("data-judged", Boolean(measure));
  if (measure) {
    for (const table of tracks) judgeTrack(table, measure, rows);
    for (const table of heats) judgeTargets(table, measure, rows);
    const order = new Map([...rows.keys()].map((key, at) => [key, at]));
    const ordered = (a, b) => order.get(a.dataset.name) - order.get(b.dataset.name);
    for (const { tBodies } of [...tracks, ...heats]) tBodies[0].append(...[...tBodies[0].rows].sort(ordered));
  }
  const lines = measure?.ticks.map(([x]) => `${x}% 0`) ?? [];
  const images = lines.map(() => "linear-gradient(var(--rule), var(--rule))");
  grid.textContent = measure ? `.plot { background-image: ${images}; background-position: ${lines}; }` : "";
  for (const note of document.querySelectorAll(".judged-note")) {
    note.textContent = measure ? [`${measure.title}.`, measure.caption, ...measure.lacking].join(" ") : "";
  }
  for (const link of document.querySelectorAll("nav.criteria a[href]")) {
    link.href = link.getAttribute("href").split("#")[0] + (measure ? `#by-${name}` : "");
  }
};

// The address keeps the choice, so that it can be linked to, and goes along to the pages of other criteria.
judges.hidden = false;
judges.addEventListener("change", () => {
  const name = new FormData(judges).get("measure");
  judge(name);
  history.replaceState(null, "", `#by-${name}`);
});
judges.addEventListener("submit", (event) => event.preventDefault());
const asked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
if (asked?.form === judges && !asked.disabled) asked.checked = true;
if (new FormData(judges).get("measure") in measures) judge(new FormData(judges).get("measure"));
