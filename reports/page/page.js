"use strict";
(() => {
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  /* ---- tables that sort: a click on a heading goes through ascending, descending, as printed */

  /* A row and those that continue it. */
  const unitsOf = (body) => {
    const units = [];
    for (const row of body.rows) {
      if (row.classList.contains("cont") && units.length) units[units.length - 1].push(row);
      else units.push([row]);
    }
    return units;
  };

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell ? (cell.dataset.v ?? cell.textContent).trim() : "";
    const number = parseFloat(text.replace(/[,%]/g, ""));
    return { text, number: /^[-+]?[\d.,]/.test(text) && !Number.isNaN(number) ? number : null };
  };

  /* Numbers before texts, what is empty last in either direction. */
  const compareValues = (a, b, sign) => {
    const empty = (value) => value.text === "" || value.text === "—";
    if (empty(a) || empty(b)) return empty(a) - empty(b);
    if (a.number !== null && b.number !== null) return sign * (a.number - b.number);
    if ((a.number !== null) !== (b.number !== null)) return a.number !== null ? -1 : 1;
    return sign * a.text.localeCompare(b.text, "en", { numeric: true });
  };

  const sortTable = (table, heading, original) => {
    const next = { none: "ascending", ascending: "descending", descending: "none" };
    const order = next[heading.getAttribute("aria-sort") || "none"];
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    if (order !== "none") heading.setAttribute("aria-sort", order);
    const units = original.slice();
    if (order !== "none") {
      const sign = order === "ascending" ? 1 : -1;
      const keyed = units.map((unit) => ({ unit, value: valueOf(unit[0], heading.cellIndex) }));
      keyed.sort((a, b) => compareValues(a.value, b.value, sign));
      units.splice(0, units.length, ...keyed.map((item) => item.unit));
    }
    table.tBodies[0].append(...units.flat());
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const original = unitsOf(table.tBodies[0]);
    for (const heading of table.tHead.rows[0].cells) {
      const button = make("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sortTable(table, heading, original));
    }
  }

  /* ---- plots: a legend's entry points at its dot */

  for (const entry of document.querySelectorAll("ol.legend li[data-p]")) {
    const point = document.getElementById(entry.dataset.p);
    const mark = (on) => point && point.classList.toggle("hot", on);
    entry.addEventListener("mouseenter", () => mark(true));
    entry.addEventListener("mouseleave", () => mark(false));
  }

  /* ---- documents: packed in the page, unpacked when they are looked at */

  const browser = document.getElementById("browser");
  if (!browser) return;
  const TRUNCATED = 1, NOT_EXTRACTED = 2, PAGE = 25, PROMPT_SHOWN = 1800, SEARCH_STEP = 4000, SNIPPET = 170;
  const unpacked = new Map();

  const unpack = (id) => {
    if (!unpacked.has(id)) {
      const bytes = Uint8Array.from(atob(document.getElementById("pack-" + id).textContent), (c) => c.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      unpacked.set(id, new Response(stream).json());
    }
    return unpacked.get(id);
  };

  const control = (name) => browser.querySelector(`[name="${name}"]`);
  const runs = JSON.parse(document.getElementById("documents").textContent);
  const list = browser.querySelector(".list");
  const counts = [...browser.querySelectorAll(".count")];
  const steps = [...browser.querySelectorAll("[data-step]")];
  let view = [], page = 0, request = 0;

  /* Where a document's details are: its task's last pack that begins at or before it. */
  const detailsOf = async (item) => {
    const packs = item.task.packs;
    let at = packs.length - 1;
    while (packs[at][1] > item.i) at--;
    return (await unpack(packs[at][0]))[item.i - packs[at][1]];
  };

  const metricOf = (task, name) => {
    const at = task.metrics.indexOf(name);
    return at < 0 ? 0 : at;
  };

  /* true: right, false: wrong, null: the metric is not one of 0 and 1 */
  const rightness = (item, metric) => {
    const which = metricOf(item.task, metric);
    const value = item.task.metrics.length ? item.task.values[which][item.i] : null;
    return item.task.binary[which] && value !== null ? value === 1 : null;
  };

  const others = new Map(); /* run index -> "task\0document" -> item */
  const itemsOf = async (at) => {
    if (!others.has(at)) {
      const found = new Map();
      for (const task of await unpack(runs[at].index))
        task.id.forEach((id, i) => found.set(task.name + "\0" + id, { task, i, id }));
      others.set(at, found);
    }
    return others.get(at);
  };

  const isFlipped = (item, metric, elsewhere) => {
    const here = rightness(item, metric);
    return here !== null && elsewhere.some((items) => {
      const other = items.get(item.task.name + "\0" + item.id);
      const there = other ? rightness(other, metric) : null;
      return there !== null && there !== here;
    });
  };

  const haystack = (details) => {
    if (details.hay === undefined) {
      const texts = [details.p, details.t, details.o];
      for (const choice of details.c || []) texts.push(choice[0], choice[5]);
      for (const answer of details.f || []) texts.push(answer[1]);
      details.hay = texts.filter((text) => text).join("\n").toLowerCase();
    }
    return details.hay;
  };

  const filters = {
    all: () => true,
    wrong: (item, metric) => rightness(item, metric) === false,
    right: (item, metric) => rightness(item, metric) === true,
    flipped: isFlipped,
    truncated: (item) => (item.task.flags[item.i] & TRUNCATED) !== 0,
    unextracted: (item) => (item.task.flags[item.i] & NOT_EXTRACTED) !== 0,
  };

  const keys = {
    margin: (item) => item.task.margin[item.i],
    "margin-down": (item) => item.task.margin[item.i],
    length: (item) => -item.task.length[item.i],
    score: (item, metric) => (item.task.metrics.length ? item.task.values[metricOf(item.task, metric)][item.i] : null),
  };

  const sortItems = (items, how, metric) => {
    if (!keys[how]) return items;
    const sign = how === "margin-down" ? -1 : 1;
    return items
      .map((item) => ({ item, key: keys[how](item, metric) }))
      .sort((a, b) => (a.key === null) - (b.key === null) || sign * (a.key - b.key))
      .map((entry) => entry.item);
  };

  const say = (text) => counts.forEach((count) => { count.textContent = text; });

  const search = async (items, words, mine) => {
    const found = [];
    for (let i = 0; i < items.length; i++) {
      if (i % SEARCH_STEP === 0 && i) {
        say(`Searching, ${i} of ${items.length}`);
        await new Promise((done) => setTimeout(done));
      }
      if (mine !== request) return null;
      const text = haystack(await detailsOf(items[i]));
      if (words.every((word) => text.includes(word))) found.push(items[i]);
    }
    return found;
  };

  const update = async () => {
    const mine = ++request;
    const at = Number(control("run").value), metric = control("metric").value, task = control("task").value;
    const words = control("search").value.toLowerCase().split(/\s+/).filter((word) => word);
    const mineItems = [...(await itemsOf(at)).values()].filter((item) => task === "" || item.task.name === task);
    const show = control("show").value;
    const elsewhere = show === "flipped"
      ? await Promise.all(runs.map((_, i) => i).filter((i) => i !== at).map(itemsOf)) : [];
    let items = mineItems.filter((item) => filters[show](item, metric, elsewhere));
    if (words.length) items = await search(items, words, mine);
    if (mine !== request || !items) return;
    view = sortItems(items, control("sort").value, metric);
    page = 0;
    await draw(mineItems.length);
  };

  const fillTasks = async () => {
    const tasks = await unpack(runs[Number(control("run").value)].index);
    const refill = (select, names) => {
      const before = select.value;
      select.replaceChildren(...names.map(([value, text]) => {
        const option = make("option", "", text);
        option.value = value;
        return option;
      }));
      if (names.some(([value]) => value === before)) select.value = before;
    };
    refill(control("task"), [["", `all ${tasks.length} tasks`], ...tasks.map((task) => [task.name, task.name])]);
    const metrics = [...new Set(tasks.flatMap((task) => task.metrics))];
    refill(control("metric"), metrics.map((name) => [name, name]));
  };

  const tag = (className, text) => make("span", "tag " + className, text);

  const choiceRow = (details, choice, i, best, shares) => {
    const row = make("tr", details.g === i ? "gold" : "");
    const cell = make("td", "choice");
    if (choice[5]) cell.append(make("span", "snippet", choice[5]), " → ");
    cell.append(choice[0]);
    if (details.g === i) cell.append(tag("gold", "gold"));
    if (best === i && details.c.length > 1) cell.append(tag("picked", "most likely"));
    const share = make("td", "n");
    if (shares) {
      const bar = make("span", "share");
      bar.style.width = (3.5 * shares[i]).toFixed(2) + "rem";
      share.append(bar, (100 * shares[i]).toFixed(1) + " %");
    }
    const number = (value) => make("td", "n", value === null || value === undefined ? "—" : String(value));
    row.append(cell, make("td", "n", choice[1] === null ? "—" : choice[1].toFixed(4)), share, number(choice[2]),
      make("td", "", choice[3] ? "yes" : "no"), number(choice[4] || ""));
    return row;
  };

  const choiceTable = (details) => {
    const scores = details.c.map((choice) => choice[1]);
    const scored = scores.every((score) => score !== null);
    const top = Math.max(...scores.map((score) => (score === null ? -Infinity : score)));
    const best = scores.findIndex((score) => score === top);
    let shares = null;
    if (scored && scores.length > 1) {
      const weights = scores.map((score) => Math.exp(score - top));
      const sum = weights.reduce((a, b) => a + b, 0);
      shares = weights.map((weight) => weight / sum);
    }
    const table = make("table"), head = table.createTHead().insertRow(), body = table.createTBody();
    for (const [text, right] of [["Continuation", 0], ["Log-probability", 1], ["Share", 1], ["Tokens", 1],
      ["Greedy", 0], ["Cut off", 1]]) {
      const heading = make("th", right ? "n" : "", text);
      heading.scope = "col";
      head.append(heading);
    }
    details.c.forEach((choice, i) => body.append(choiceRow(details, choice, i, best, shares)));
    const scroll = make("div", "scroll");
    scroll.tabIndex = 0;
    scroll.append(table);
    return scroll;
  };

  const block = (inside, title, text, cut) => {
    inside.append(make("h4", "", title));
    const pre = make("pre", "", cut && text.length > PROMPT_SHOWN ? "…" + text.slice(-PROMPT_SHOWN) : text);
    pre.tabIndex = 0;
    inside.append(pre);
    if (cut && text.length > PROMPT_SHOWN) {
      const more = make("button", "more", `Show all ${text.length.toLocaleString("en")} characters`);
      more.type = "button";
      more.addEventListener("click", () => { pre.textContent = text; more.remove(); });
      inside.append(more);
    }
  };

  const fillDocument = (inside, item, details) => {
    if (details.p) block(inside, `Prompt, ${item.task.length[item.i]} tokens`, details.p, true);
    if (details.o !== undefined) block(inside, "Generated", details.o, true);
    for (const [filter, answer, ok] of details.f || [])
      block(inside, `Answer by filter ${filter}` + (ok ? "" : ": nothing was found"), answer, true);
    if (details.c) inside.append(choiceTable(details));
    const metrics = item.task.metrics.map((name, m) => `${name} ${item.task.values[m][item.i] ?? "—"}`);
    if (details.t && details.g === undefined) metrics.push("target: " + details.t);
    inside.append(make("p", "note", metrics.join(", ")));
  };

  const statusOf = (item, metric) => {
    const right = rightness(item, metric);
    if (right !== null) return right ? make("span", "status good", "✓ right") : make("span", "status bad", "✗ wrong");
    const value = item.task.metrics.length ? item.task.values[metricOf(item.task, metric)][item.i] : null;
    return make("span", "status", value === null ? "" : String(Number(value.toPrecision(4))));
  };

  /* The prompt's end, which tells documents apart: examples and instructions come first. */
  const snippetOf = (text) => {
    const line = text.replace(/\s+/g, " ");
    const end = line.slice(-SNIPPET);
    return line.length > SNIPPET ? "…" + end.slice(end.indexOf(" ")) : line;
  };

  const drawDocument = async (item, metric) => {
    const details = await detailsOf(item);
    const element = make("details", "doc"), summary = make("summary"), head = make("div", "head");
    const text = details.p || (details.c && details.c[0] && details.c[0][5]) || "";
    head.append(`${item.task.name} #${item.id}`);
    if (item.task.flags[item.i] & TRUNCATED) head.append(tag("warn", "truncated"));
    if (item.task.flags[item.i] & NOT_EXTRACTED) head.append(tag("warn", "not extracted"));
    head.append(make("span", "snippet", snippetOf(text)));
    summary.append(statusOf(item, metric), head);
    element.append(summary);
    element.addEventListener("toggle", () => {
      if (element.children.length > 1) return;
      const inside = make("div", "inside");
      fillDocument(inside, item, details);
      element.append(inside);
    });
    return element;
  };

  const draw = async (total) => {
    const metric = control("metric").value, mine = request, pages = Math.max(1, Math.ceil(view.length / PAGE));
    if (total !== undefined) draw.total = total;
    const shown = await Promise.all(view.slice(page * PAGE, (page + 1) * PAGE).map((item) => drawDocument(item, metric)));
    if (mine !== request) return;
    list.replaceChildren(...shown);
    say(`${view.length.toLocaleString("en")} of ${draw.total.toLocaleString("en")} documents, page ${page + 1} of ${pages}`);
    for (const step of steps) step.disabled = step.dataset.step < 0 ? page === 0 : page + 1 >= pages;
  };

  for (const step of steps)
    step.addEventListener("click", () => { page += Number(step.dataset.step); draw(); });
  let typing;
  control("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(update, 200); });
  for (const name of ["task", "metric", "show", "sort"]) control(name).addEventListener("change", update);
  control("run").addEventListener("change", async () => { await fillTasks(); await update(); });
  browser.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  browser.hidden = false;
  fillTasks().then(update);
})();
