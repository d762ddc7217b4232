"use strict";
{
  const root = document.documentElement;
  root.classList.remove("static");

  // Light and dark: the reader's system decides until the button is pressed.
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const showTheme = () =>
    theme.setAttribute("aria-pressed", String((root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark"));
  theme.addEventListener("click", () => {
    root.dataset.theme = theme.getAttribute("aria-pressed") === "true" ? "light" : "dark";
    showTheme();
  });
  system.addEventListener("change", showTheme);
  showTheme();

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
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const first = header.dataset.first ?? "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      sort(header.closest("table"), header.cellIndex, header.getAttribute("aria-sort") === first ? second : first);
    });
  }

  // Filtering: rows of all tables, and the sections that belong to them.
  const filter = document.getElementById("filter");
  const rows = [...document.querySelectorAll(".scroll tbody tr")];
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
    section.closest("details").open = true;
    section.scrollIntoView();
  };
  addEventListener("hashchange", openSection);
  openSection();

  for (const plot of document.querySelectorAll(".plot")) {
    const specification = JSON.parse(document.getElementById(plot.dataset.chart).textContent);
    vegaEmbed(plot, specification, {
      mode: "vega-lite",
      renderer: "svg",
      actions: false,
      ast: true, // expressions are interpreted: none is compiled into code, which the page's policy forbids
      defaultStyle: false,
      tooltip: { disableDefaultStyle: true },
    }).then(({ view }) => {
      view.addEventListener("click", (_, item) => {
        const id = item?.datum?.record_id;
        if (id) location.hash = `r-${id}`;
      });
    });
  }
}
