"use strict";
// What is chosen stands in the address behind #, so that a link shows the same again.
const data = JSON.parse(document.getElementById("data").textContent);
const one = id => document.getElementById(id);
const night = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 52rem)");
const chosen = new URLSearchParams(location.hash.slice(1));
const FIRST_TICKED = 4;  // settings whose curves are shown at first
const ticked = new Set();

const keep = (name, value) => {
  if (value) chosen.set(name, value); else chosen.delete(name);
  try { history.replaceState(null, "", "#" + chosen); } catch { /* a page in a frame without an address */ }
};

// ---- figures

const hex = () => night.matches ? data.colours.dark : data.colours.light;
const [PAPER, INK, MUTED, RULE] = [6, 7, 8, 9];
const coloured = figure => {  // the figures are written in the colours of the light page
  const dark = new Map(data.colours.light.map((colour, n) => [`"${colour}"`, `"${data.colours.dark[n]}"`]));
  const text = JSON.stringify(figure);
  return JSON.parse(night.matches ? text.replace(/"#[0-9a-f]{6}"/g, colour => dark.get(colour) ?? colour) : text);
};

const draw = (place, figure) => {
  if (!place || !figure) return;
  const {data: traces, layout} = coloured(figure), colours = hex();
  const axis = {automargin: true, gridcolor: colours[RULE], linecolor: colours[MUTED], zerolinecolor: colours[RULE]};
  const together = {
    font: {family: getComputedStyle(document.documentElement).getPropertyValue("--sans"), size: 12.5, color: colours[INK]},
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: {l: 50, r: 14, t: layout.title ? 36 : 14, b: 44}, height: 340, hovermode: "closest",
    legend: {orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: {size: 12}},
    ...layout, xaxis: {...axis, ...layout.xaxis}, yaxis: {...axis, ...layout.yaxis},
  };
  if (layout.title) together.title = {...layout.title, x: 0, xanchor: "left", font: {size: 13.5}};
  if (narrow.matches) {  // long names beside the points would leave these no room
    for (const name of ["xaxis", "yaxis"]) {
      const words = together[name].ticktext;
      if (words) together[name].ticktext = words.map(word => word.length > 24 ? word.slice(0, 9) + "…" + word.slice(-14) : word);
    }
  }
  const first = !place.classList.contains("js-plotly-plot");
  Plotly.react(place, traces, together, {responsive: true, displayModeBar: false});
  if (first) place.on("plotly_click", event => go(event.points[0].customdata));
};

const panel = () => one("panel")?.value ?? Object.keys(data.figures.lines ?? {})[0];
const drawFigures = () => {
  const metric = one("metric").value, {lines, heatmap, overview} = data.figures;
  draw(one("lines"), lines?.[panel()]?.[metric]);
  draw(one("second"), lines?.[panel()]?.[one("second-metric").value]);
  if (one("heatmap")) one("heatmap").closest("section").hidden = !heatmap[panel()]?.[metric];
  draw(one("heatmap"), heatmap?.[panel()]?.[metric]);
  draw(one("overview"), overview?.[""][metric]);
};

const escaped = text => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const styles = ["solid", "dash", "dot", "dashdot"];
const drawCurves = () => {
  if (!one("roc")) return;
  const shown = [...ticked].filter(group => data.curves[group]).sort((a, b) => a - b), light = data.colours.light;
  const traces = shown.map((group, n) => ({
    type: "scatter", mode: "lines", name: escaped(data.groups[group].label), customdata: data.curves[group].found.map(() => `r${data.curves[group].run}`),
    x: data.curves[group].false_alarms, y: data.curves[group].found, hovertemplate: "%{x:.3f}, %{y:.3f}",
    line: {color: light[n % 6], width: 1.8, dash: styles[Math.floor(n / 6) % styles.length]},
  }));
  const guess = {type: "scatter", mode: "lines", x: [0, 1], y: [0, 1], hoverinfo: "skip", showlegend: false, line: {color: light[MUTED], width: 0.8}};
  draw(one("roc"), {data: [guess, ...traces], layout: {
    height: narrow.matches ? 420 : 460, showlegend: true, xaxis: {title: {text: "false alarms, share of normal images"}, range: [-0.01, 1.01]},
    yaxis: {title: {text: "found, share of anomalies"}, range: [-0.01, 1.01]},
    legend: narrow.matches ? {orientation: "h", y: -0.25, yanchor: "top"} : {orientation: "v", x: 1.02, y: 1, yanchor: "top"},
  }});
  one("histograms").replaceChildren(...shown.map(group => {
    const place = document.createElement("div"), words = document.createElement("div"), plot = document.createElement("div");
    words.className = "note";
    words.textContent = data.groups[group].label;
    plot.className = "plot";
    place.append(words, plot);
    return place;
  }));
  shown.forEach((group, n) => drawHistogram(one("histograms").children[n].lastChild, data.curves[group]));
};

const drawHistogram = (place, curves) => {
  const light = data.colours.light;
  const steps = (values, name, colour) => ({
    type: "scatter", mode: "lines", name, x: curves.edges, y: [...values, values.at(-1)], fill: "tozeroy",
    line: {shape: "hv", color: colour, width: 1.3}, customdata: curves.edges.map(() => `r${curves.run}`), hovertemplate: "%{x:.4g}: %{y:.1%}",
  });
  const cut = curves.threshold === null ? [] : [{type: "line", x0: curves.threshold, x1: curves.threshold, yref: "paper", y0: 0, y1: 1, line: {color: light[INK], width: 1, dash: "dash"}}];
  draw(place, {data: [steps(curves.normal, "normal", light[0]), steps(curves.anomalous, "anomalous", light[1])], layout: {
    height: 200, showlegend: true, shapes: cut, xaxis: {type: curves.is_log ? "log" : "linear"}, yaxis: {tickformat: ".0%", rangemode: "tozero"},
    margin: {l: 46, r: 8, t: 24, b: 26},
  }});
};

// ---- tables

const sortKey = cell => {
  const text = cell.dataset.value ?? cell.textContent.trim(), number = Number(text.replace(/^\[(.*)\]$/, "$1").replace("−", "-"));
  return text === "" || text === "—" || text === "–" ? null : Number.isNaN(number) ? text.toLowerCase() : number;
};
const compare = (a, b) => a === null || b === null ? (a === null) - (b === null)
  : typeof a === typeof b ? (a < b ? -1 : +(a > b)) : typeof a === "number" ? -1 : 1;
const sort = (table, column, down) => {
  const rows = [...table.tBodies[0].rows].map((row, n) => [sortKey(row.cells[column]), n, row]);
  rows.sort(([a, n], [b, m]) => (a === null || b === null || !down ? compare(a, b) : compare(b, a)) || n - m);  // what is missing stays below
  table.tBodies[0].append(...rows.map(([, , row]) => row));
  [...table.tHead.rows[0].cells].forEach((head, n) => {
    if (n === column) head.setAttribute("aria-sort", down ? "descending" : "ascending"); else head.removeAttribute("aria-sort");
  });
};
const sortable = (table, name) => {
  const by = event => {
    const head = event.target.closest("th[data-sort]");
    if (!head || (event.type === "keydown" && event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    const before = head.getAttribute("aria-sort");
    const down = before ? before === "ascending" : head.dataset.sort === "down";  // metrics: the best on top
    sort(table, head.cellIndex, down);
    keep(name, `${head.cellIndex}${down ? "-" : ""}`);
  };
  table.tHead.addEventListener("click", by);
  table.tHead.addEventListener("keydown", by);
};
const sortAsChosen = (table, name) => {
  const text = chosen.get(name), column = parseInt(text ?? "", 10);
  if (table.tHead.rows[0].cells[column]) sort(table, column, text.endsWith("-"));
};

const fixed = (value, digits = 3) => value === null || value === undefined ? "–" : value.toFixed(digits);
const signed = value => value === null || value === undefined ? "–" : (value < 0 ? "−" : "+") + Math.abs(value).toFixed(3);
const p = value => value === null || value === undefined ? "–" : value < 0.001 ? "< 0.001" : value.toFixed(3);
const cell = (text, value, kind = "td", look = "") => {
  const made = document.createElement(kind);
  made.textContent = text;
  if (value !== undefined) made.dataset.value = value ?? "";
  if (look) made.className = look;
  return made;
};

const fillGroups = () => {
  const table = one("groups");
  if (!table) return;
  const metric = one("metric").value, tests = data.tests[one("reference")?.value ?? "own"];
  const has = {curves: Object.keys(data.curves).length > 0, seeds: tests.seeds[metric].some(Boolean), images: metric === "test/auroc" && tests.images.some(Boolean)};
  const heads = [...(has.curves ? ["curves"] : []), ...data.factors, "mean ± deviation", "95 % interval", "seeds",
    ...(has.seeds || has.images ? ["against", "difference"] : []), ...(has.seeds ? ["95 %, seeds", "p, seeds"] : []), ...(has.images ? ["95 %, images", "p, images"] : [])];
  const line = document.createElement("tr");
  line.append(...heads.map(text => {
    const head = cell(text, undefined, "th");
    head.dataset.sort = text.startsWith("mean") || text === "difference" ? "down" : "";
    head.tabIndex = 0;
    return head;
  }));
  table.tHead.replaceChildren(line);
  table.tBodies[0].replaceChildren(...data.groups.map((group, n) => groupRow(group, n, metric, tests, has)));
  sortAsChosen(table, "groups");
};
const groupRow = (group, n, metric, tests, has) => {
  const row = document.createElement("tr"), found = data.found[metric][n], seeds = tests.seeds[metric][n], images = tests.images[n];
  row.id = `g${n}`;
  if (has.curves) {
    const box = document.createElement("input"), place = document.createElement("td");
    Object.assign(box, {type: "checkbox", checked: ticked.has(n), disabled: !data.curves[n], ariaLabel: `curves of ${group.label}`});
    box.addEventListener("change", () => { if (box.checked) ticked.add(n); else ticked.delete(n); keep("curves", [...ticked].join(".")); drawCurves(); });
    place.dataset.value = box.checked ? 0 : 1;
    place.append(box);
    row.append(place);
  }
  row.append(...group.values.map(value => cell(value)));
  const spread = found && found[1] !== null ? ` ± ${fixed(found[1])}` : "", ends = test => test && test[1] !== null ? `${signed(test[1])} to ${signed(test[2])}` : "–";
  row.append(cell(found ? fixed(found[0]) + spread : "–", found?.[0] ?? null),
    cell(found && found[2] !== null ? `${fixed(found[2])} to ${fixed(found[3])}` : "–", found?.[2] ?? null), cell(String(found?.[4] ?? 0)));
  const looks = test => test && test[5] !== null && test[5] < 0.05 ? "sure" : "";
  if (has.seeds || has.images) row.append(cell(tests.against[n]), cell(signed((seeds ?? images)?.[0]), (seeds ?? images)?.[0] ?? null));
  if (has.seeds) row.append(cell(ends(seeds), seeds?.[1] ?? null), cell(p(seeds?.[5]), seeds?.[5] ?? null, "td", looks(seeds)));
  if (has.images) row.append(cell(ends(images), images?.[1] ?? null), cell(p(images?.[5]), images?.[5] ?? null, "td", looks(images)));
  return row;
};

// ---- the table of runs

const runs = one("runs"), rows = [...runs.tBodies[0].rows];
const words = rows.map(row => row.textContent.toLowerCase());
const heads = [...runs.tHead.rows[0].cells].map(head => head.textContent.toLowerCase());
const selects = [...document.querySelectorAll("[data-column]")];
const filter = () => {
  const wanted = one("query").value.toLowerCase().split(/\s+/).filter(Boolean);
  let n = 0;
  rows.forEach((row, place) => {
    const matches = wanted.every(word => {
      const [name, value] = word.split("=", 2), column = heads.indexOf(name);
      return value !== undefined && column >= 0 ? row.cells[column].textContent.toLowerCase() === value : words[place].includes(word);
    }) && selects.every(select => !select.value || row.cells[select.dataset.column].textContent === select.value);
    row.hidden = !matches;
    n += matches;
  });
  one("count").textContent = n === rows.length ? `${n} runs` : `${n} of ${rows.length} runs`;
};
const clearFilter = () => { one("query").value = ""; selects.forEach(select => { select.value = ""; }); keep("q", ""); keep("where", ""); filter(); };

// `r12`: a run; `g3`: all runs of a setting. Shows their rows, whatever the filter hides.
const go = (target, quietly = false) => {
  const there = (target ?? "")[0] === "g" ? data.groups[target.slice(1)]?.runs.map(run => `r${run}`) : [target];
  const hits = (there ?? []).map(id => /^r\d+$/.test(id ?? "") ? one(id) : null).filter(Boolean);
  if (!hits.length) return;
  if (hits.some(row => row.hidden)) clearFilter();
  rows.forEach(row => row.classList.toggle("hit", hits.includes(row)));
  if (!quietly) hits[0].scrollIntoView({block: "center", inline: "nearest"});
  detail(hits);
  keep("show", target);
};
const detail = hits => {
  one("detail").replaceChildren(...hits.flatMap(row => {
    const name = row.cells[0].firstElementChild?.cloneNode(true) ?? row.cells[0].cloneNode(true).firstChild;
    name.removeAttribute?.("class");
    const typed = document.querySelector(`pre[data-run="${row.id}"]`), line = document.createElement("p");
    line.className = "note";
    line.append(name, ` — ${row.cells[row.cells.length - 1].textContent}`);
    const own = typed?.cloneNode(true);
    own?.removeAttribute("data-run");
    return own ? [line, own] : [line];
  }));
};

// ---- the start

// A reference and some of those that are held against it, evenly; of several references that with the most, the last.
const usualCurves = () => {
  const there = Object.keys(data.curves).map(Number), natural = data.tests.own.references;
  const families = there.map(n => there.filter(other => other === n || natural[other] === n));
  const family = families.reduce((most, other) => other.length >= most.length ? other : most, []);
  const shown = family.length > 1 ? family : there, n = Math.min(FIRST_TICKED, shown.length);
  return Array.from({length: n}, (_, k) => shown[n > 1 ? Math.round(k * (shown.length - 1) / (n - 1)) : 0]);
};

const start = () => {
  data.factors = [...runs.tHead.rows[0].cells].slice(1, 1 + selects.length).map(head => head.textContent);
  const first = 1 + selects.length;
  [...runs.tHead.rows[0].cells].slice(first + 2, -1).forEach(head => { head.dataset.sort = "down"; });
  for (const select of selects) {
    const values = new Map(rows.map(row => row.cells[select.dataset.column]).map(cell => [cell.textContent, sortKey(cell)]));
    select.append(...[...values].sort(([, a], [, b]) => compare(a, b)).map(([value]) => new Option(value, value)));
  }
  Object.keys(data.tests).filter(name => name !== "own").forEach(name => one("reference")?.append(new Option(data.groups[name].label, name)));
  for (const name of ["metric", "second-metric", "panel", "reference"]) {
    const select = one(name);
    if (!select) continue;
    if ([...select.options].some(option => option.value === chosen.get(name))) select.value = chosen.get(name);
    select.addEventListener("change", () => { keep(name, select.value); drawFigures(); fillGroups(); });
  }
  const wanted = (chosen.get("curves") ?? "").split(".").filter(text => data.curves[text]).map(Number);
  (wanted.length ? wanted : usualCurves()).forEach(group => ticked.add(group));
  let where = {};
  try { where = JSON.parse(chosen.get("where") ?? "{}") ?? {}; } catch { keep("where", ""); }  // an address cut short
  one("query").value = chosen.get("q") ?? "";
  selects.forEach(select => { select.value = where[select.dataset.column] ?? ""; });
  one("query").addEventListener("input", () => { keep("q", one("query").value); filter(); });
  selects.forEach(select => select.addEventListener("change", () => {
    const picked = selects.filter(other => other.value).map(other => [other.dataset.column, other.value]);
    keep("where", picked.length ? JSON.stringify(Object.fromEntries(picked)) : "");
    filter();
  }));
  runs.tBodies[0].addEventListener("click", event => { if (!event.target.closest("a")) go(event.target.closest("tr").id, true); });
  document.querySelectorAll("button[data-to]").forEach(button => button.addEventListener("click", () => go(button.dataset.to)));
  sortable(runs, "sort");
  if (one("groups")) sortable(one("groups"), "groups");
  const redraw = () => { drawFigures(); drawCurves(); };
  night.addEventListener("change", redraw);
  narrow.addEventListener("change", redraw);
  fillGroups();
  redraw();
  filter();
  sortAsChosen(runs, "sort");
  if (chosen.has("show")) go(chosen.get("show"));
};
start();
