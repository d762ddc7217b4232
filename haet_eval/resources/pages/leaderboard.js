"use strict";
{
  const LABEL_CHARACTERS = 26;
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

  // What a cell shows first: its number or its name, without the small print.
  const textOf = (cell) => cell.firstChild.textContent.trim();

  // The number of a cell: its data-value says it, or its text if that is exact; null if there is none.
  const numberOf = (cell) => {
    const number = Number(cell.dataset.value ?? textOf(cell).replaceAll(",", ""));
    return Number.isNaN(number) ? null : number;
  };

  // Sorting: columns of numbers by number, others by text; missing values come last.
  const valueOf = (row, header) => {
    const cell = row.cells[header.cellIndex];
    return header.classList.contains("number") ? numberOf(cell) : cell.textContent.trim();
  };
  const compare = (one, other) =>
    typeof one === "string" ? one.localeCompare(other) : one - other;
  const sort = (table, sorted, direction) => {
    const sign = direction === "ascending" ? 1 : -1;
    const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row, sorted), row]);
    rows.sort(([one], [other]) =>
      one === null || other === null ? (one === null) - (other === null) : sign * compare(one, other));
    table.tBodies[0].append(...rows.map(([, row]) => row));
    for (const header of table.tHead.rows[0].cells) header.removeAttribute("aria-sort");
    sorted.setAttribute("aria-sort", direction);
  };
  for (const header of document.querySelectorAll("thead th")) {
    const sorter = document.createElement("button");
    sorter.type = "button";
    sorter.append(...header.childNodes);
    header.append(sorter);
    header.addEventListener("click", () => {
      const first = header.dataset.first ?? "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      sort(header.closest("table"), header, header.getAttribute("aria-sort") === first ? second : first);
    });
  }

  // The id of an entry's section; with a page for each entry, its link leads there.
  const idOf = (row) => {
    const link = row.querySelector("a");
    return link ? link.hash.slice(1) || `r-${link.pathname.split("/").pop().replace(".html", "")}` : "";
  };

  // Filtering: rows of all tables, and the sections that belong to them.
  const filter = document.getElementById("filter");
  const rows = [...document.querySelectorAll(".entries tbody tr")];
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();
  const charts = [];
  const showMatches = () => {
    const words = plain(filter.value).split(/\s+/).filter(Boolean);
    let found = 0;
    for (const row of rows) {
      const text = plain(row.textContent);
      const matches = words.every((word) => text.includes(word));
      row.hidden = !matches;
      found += matches;
      const section = document.getElementById(idOf(row));
      if (section) section.closest("details").hidden = !matches;
    }
    const nothing = `No entry matches: 0 of ${rows.length} entries`;
    document.getElementById("found").textContent =
      words.length ? (found ? `${found} of ${rows.length} entries` : nothing) : "";
    for (const follow of charts) follow();
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

  // The points of a chart are the rows of its table: the page has each figure once.
  const shortened = (text) => {
    const characters = [...text];
    return characters.length <= LABEL_CHARACTERS ? text : `${characters.slice(0, LABEL_CHARACTERS - 1).join("")}…`;
  };
  const pointOf = (row, costName) => {
    const [place, name, team, cost, , , accuracy] = row.cells;
    const { low, high } = accuracy.dataset;
    const spread = low === undefined ? "" : ` ${accuracy.querySelector("small").textContent}`;
    return {
      record_id: idOf(row).slice("r-".length),
      place: numberOf(place),
      cost: numberOf(cost),
      accuracy: numberOf(accuracy),
      low: low === undefined ? null : Math.max(Number(low), 0),
      high: high === undefined ? null : Math.min(Number(high), 1),
      awarded: row.classList.contains("awarded"),
      text: `${textOf(place)} · ${shortened(textOf(name))}, ${shortened(textOf(team))}:`
        + ` ${costName} ${textOf(cost)}, accuracy ${textOf(accuracy)}${spread}`,
    };
  };
  const pointsOf = (table, costName) =>
    [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => pointOf(row, costName))
      .filter((point) => point.cost && point.accuracy !== null);

  const draw = async (plot) => {
    const specification = JSON.parse(document.getElementById(plot.dataset.chart).textContent);
    const { entries, cost } = plot.dataset;
    if (entries) specification.datasets.entries = pointsOf(document.getElementById(entries), cost);
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
      if (!id) return;
      if (document.getElementById(`r-${id}`)) location.hash = `r-${id}`;
      else location.href = `entries/${id}.html`;
    });
    if (entries) {
      const table = document.getElementById(entries);
      charts.push(() => view.data("entries", pointsOf(table, cost)).runAsync());
    } else {
      const { segments } = specification.datasets;
      const table = document.getElementById(plot.dataset.table);
      charts.push(() => {
        const places = [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => numberOf(row.cells[0]));
        view.data("segments", segments.filter((segment) => places.includes(segment.place))).runAsync();
      });
    }
  };
  Promise.all([...document.querySelectorAll(".plot")].map(draw)).then(openSection); // charts move the sections
}
