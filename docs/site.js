// Filters for the table of verdicts, data frames with one header row and no empty headers, columns of numbers to the
// right, tables that the keyboard scrolls, and pictures that open alone, to be enlarged.
for (const table of document.querySelectorAll("table.verdicts")) {
  const rows = [...table.tBodies[0].rows], bar = document.createElement("p"), count = document.createElement("span");
  const words = (cell) => cell.querySelector(".verdict") ? [cell.innerText.trim()] : cell.innerText.trim().split(", ");
  const filters = [...table.tHead.rows[0].cells].slice(2).map((head) => {
    const select = bar.appendChild(document.createElement("select")), all = `${head.innerText.trim()}: all`;
    const found = new Set(rows.flatMap((row) => words(row.cells[head.cellIndex])));
    select.append(new Option(all, ""), ...[...found].map((word) => new Option(word)));
    select.setAttribute("aria-label", head.innerText.trim());
    return (row) => !select.value || words(row.cells[head.cellIndex]).includes(select.value);
  });
  bar.className = "filters";
  bar.append(count);
  bar.onchange = () => {
    for (const row of rows) row.hidden = !filters.every((fits) => fits(row));
    count.innerText = `${rows.filter((row) => !row.hidden).length} of ${rows.length} claims`;
  };
  bar.onchange();
  (table.closest(".table-wrapper") ?? table).before(bar);
}
for (const head of document.querySelectorAll("table.dataframe thead")) {
  const [last, above] = [...head.rows].reverse();
  if (!above || last.cells.length !== above.cells.length) continue;
  const both = [...last.cells].map((cell, place) => [cell.innerText.trim(), above.cells[place].innerText.trim()]);
  if (both.some(([low, high]) => low && high)) continue;
  both.forEach(([low, high], place) => { above.cells[place].innerText = low || high; });
  last.remove();
}
for (const empty of document.querySelectorAll("table.dataframe th:empty")) empty.replaceWith(document.createElement("td"));
for (const box of document.querySelectorAll(".table-wrapper")) box.tabIndex = 0;
for (const table of document.querySelectorAll("article table")) {
  const rows = [...table.rows], number = /^[-+]?\d[\d.e+-]*( ?(%|[±[(][^a-z]*))?$/;
  // From the right: below a cell that spans rows, the rows have fewer cells on the left.
  for (let back = 1; back <= Math.max(...rows.map((row) => row.cells.length)); back++) {
    const cells = rows.map((row) => row.cells[row.cells.length - back]).filter((cell) => cell?.colSpan === 1);
    const texts = cells.filter((cell) => cell.closest("tbody")).map((cell) => cell.innerText.trim()).filter(Boolean);
    const numbers = texts.length && texts.every((text) => number.test(text) || text === "NaN");
    if (numbers && !table.matches(".verdicts")) cells.forEach((cell) => cell.classList.add("number"));
  }
}
for (const image of document.querySelectorAll("article img")) {
  if (image.closest("a")) continue;
  const link = document.createElement("a");
  link.href = image.src;
  image.replaceWith(link);
  link.append(image);
}
// What a screen reader needs and the theme leaves out: the level of the sidebar's captions, and names of both sidebars.
for (const caption of document.querySelectorAll("p.caption[role=heading]")) caption.setAttribute("aria-level", "2");
for (const [side, name] of [["sidebar", "Site"], ["toc", "This page"]])
  document.querySelector(`.${side}-drawer`)?.setAttribute("aria-label", name);
const cite = document.createElement("p");
cite.className = "cite";
cite.innerText = `To cite this page: “${document.querySelector("h1")?.innerText.replace(/#$/, "") ?? document.title}”, in ${citation}.`;
document.querySelector("article[role=main]")?.append(cite);
