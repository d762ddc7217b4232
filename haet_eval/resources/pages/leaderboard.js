"use strict";
{
  const root = document.documentElement;
  root.classList.remove("static");

  // Light and dark: the reader's system decides until the button is pressed.
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const other = () => ((root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark" ? "light" : "dark");
  const offer = () => { button.textContent = `${other() === "dark" ? "Dark" : "Light"} colours`; };
  button.addEventListener("click", () => {
    root.dataset.theme = other();
    offer();
  });
  system.addEventListener("change", offer);
  offer();

  // Sorting: by what a cell's data-value says, by its text where it has none; missing values come last.
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const value = cell.dataset.value;
    if (value === undefined && !cell.classList.contains("number")) return cell.textContent;
    const number = Number(value ?? cell.textContent);
    return Number.isNaN(number) ? null : number;
  };
  const compare = (one, other) =>
    typeof one === "string" ? one.localeCompare(other) : one - other;
  const sort = (table, column, direction) => {
    const sign = direction === "ascending" ? 1 : -1;
    const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row, column), row]);
    rows.sort(([one], [other]) =>
      one === null || other === null ? (one === null) - (other === null) : sign * compare(one, other));
    table.tBodies[0].append(...rows.map(([, row]) => row));
    for (const header of table.tHead.rows[0].cells) header.removeAttribute("aria-sort");
    table.tHead.rows[0].cells[column].setAttribute("aria-sort", direction);
  };
  for (const header of document.querySelectorAll("thead th")) {
    const sorter = document.createElement("button");
    sorter.type = "button";
    sorter.append(...header.childNodes);
    header.append(sorter);
    sorter.addEventListener("click", () => {
      const first = header.dataset.first ?? "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      sort(header.closest("table"), header.cellIndex, header.getAttribute("aria-sort") === first ? second : first);
    });
  }

  // Filtering: rows of all tables, and the sections that belong to them.
  const filter = document.getElementById("filter");
  const rows = [...document.querySelectorAll(".entries tbody tr")];
  const showMatches = () => {
    const words = filter.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const row of rows) {
      const text = row.textContent.toLocaleLowerCase();
      const matches = words.every((word) => text.includes(word));
      row.hidden = !matches;
      found += matches;
      const link = row.querySelector("a");
      if (link) document.querySelector(link.hash).closest("details").hidden = !matches;
    }
    document.getElementById("found").textContent = words.length ? `${found} of ${rows.length} entries` : "";
  };
  filter?.addEventListener("input", showMatches);

  // Sections are closed until a link leads to them.
  const openSection = () => {
    const section = location.hash.startsWith("#r-") && document.getElementById(location.hash.slice(1));
    if (!section) return;
    const details = section.closest("details");
    details.open = true;
    details.scrollIntoView();
  };
  addEventListener("hashchange", openSection);

  const draw = async (plot) => {
    const specification = JSON.parse(document.getElementById(plot.dataset.chart).textContent);
    const { view } = await vegaEmbed(plot, specification, {
      mode: "vega-lite",
      renderer: "svg",
      actions: false,
      ast: true, // expressions are interpreted: none is compiled into code, which the page's policy forbids
      defaultStyle: false,
      tooltip: { disableDefaultStyle: true },
    });
    view.addEventListener("click", (_, item) => {
      const id = item?.datum?.record_id;
      if (id) location.hash = `r-${id}`;
    });
  };
  Promise.all([...document.querySelectorAll(".plot")].map(draw)).then(openSection); // charts move the sections
}
