// Search by what titles contain; those that begin with the words come first.
const field = document.getElementById("search");
const found = document.getElementById("found");
const count = document.getElementById("found-count");
field.addEventListener("input", () => {
  const words = field.value.trim().toLowerCase();
  const place = ([title]) => title.toLowerCase().indexOf(words);
  const hits = words ? everything.filter((row) => place(row) >= 0).sort((a, b) => place(a) - place(b)) : [];
  found.replaceChildren(
    ...hits.slice(0, 12).map(([title, kind, href]) => {
      const [item, link, note] = ["li", "a", "small"].map((tag) => document.createElement(tag));
      link.textContent = title;
      note.textContent = kind;
      link.href = href;
      link.append(note);
      item.append(link);
      return item;
    }),
  );
  count.textContent = words ? `${hits.length} found` : "";
});
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter") found.querySelector("a")?.click();
  if (event.key === "Escape") {
    field.value = "";
    field.dispatchEvent(new Event("input"));
  }
});
