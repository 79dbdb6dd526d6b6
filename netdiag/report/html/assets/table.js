// Tables: sort by a click on a heading, filter while typing, page. Only the page in view is in the document; the rows
// are numbers in typed arrays, and texts places in sorted lists of words, so that sorting compares numbers alone.
"use strict";
(() => {
  const PAGE = 25;

  // The filter: every word of it must match. One that is a whole value somewhere ("10.0.0.7", "443") matches only that;
  // otherwise it is looked for within texts. "10.0.0.7:443" and "[::1]:443" are two words.
  const terms = (text) => text.toLowerCase().split(/\s+/).filter(Boolean).flatMap((word) => {
    const place = word.match(/^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/);
    return place ? [place[1] ?? place[2], place[3]] : [word.replace(/^\[(.*)\]$/, "$1")];
  });

  const start = (root) => {
    const data = JSON.parse(document.getElementById(root.dataset.table).textContent);
    const count = data.rows;
    const { columns, links } = data;
    const heads = [...root.querySelectorAll("thead th")];
    const body = root.querySelector("tbody");
    const find = (selector) => root.querySelector(selector);
    const keys = columns.map(() => null);
    const lower = columns.map(() => null);
    // Typed when first needed: a page that is only looked at needs none of them.
    const key = (n) => keys[n] ??= Float64Array.from(columns[n].at, (value) => value ?? NaN);
    const words = (n) => lower[n] ??= columns[n].words.map((word) => word.toLowerCase());

    const given = Uint32Array.from({ length: count }, (_, row) => row);
    let order = given;
    let shown = given;
    let sorted = { column: -1, down: false };
    let page = 0;
    let size = PAGE;

    const text = (column, row) => {
      const value = column.at[row];
      if (value === null) return "";
      if (column.kind === "text") return column.words[value];
      if (column.kind === "moment") {
        const at = new Date(column.base + value);
        if (Number.isNaN(at.getTime())) return String(column.base + value);
        const iso = at.toISOString();
        return iso.slice(column.date ? 0 : 11, 23).replace("T", " ");
      }
      if (column.plain) return String(value);
      const number = value / 10 ** column.digits;
      return number.toLocaleString("en-US", { minimumFractionDigits: column.digits, maximumFractionDigits: column.digits });
    };

    const draw = () => {
      const last = Math.max(Math.ceil(shown.length / size) - 1, 0);
      page = Math.min(Math.max(page, 0), last);
      const from = page * size;
      const rows = document.createDocumentFragment();
      for (const row of shown.subarray(from, from + size)) {
        const line = document.createElement("tr");
        columns.forEach((column, n) => {
          const cell = line.insertCell();
          const tone = column.kind === "text" ? column.tones?.[column.at[row]] : "number";
          if (tone) cell.className = tone;
          const link = n === 0 && links[row];
          const target = link ? cell.appendChild(document.createElement("a")) : cell;
          if (link) target.href = link;
          target.textContent = text(column, row);
        });
        rows.append(line);
      }
      body.replaceChildren(rows);
      const say = (number) => number.toLocaleString("en-US");
      const some = shown.length ? `${say(from + 1)}–${say(Math.min(from + size, shown.length))} of ${say(shown.length)}` : "none";
      find("[data-status]").textContent = shown.length === count ? some : `${some}, filtered from ${say(count)}`;
      const off = { first: page === 0, previous: page === 0, next: page === last, last: page === last };
      root.querySelectorAll("[data-go]").forEach((button) => { button.disabled = off[button.dataset.go]; });
      find("[data-pager]").hidden = count <= PAGE;
    };

    const sort = () => {
      if (sorted.column < 0) { order = given; return; }
      const values = key(sorted.column);
      const missing = sorted.down ? -Infinity : Infinity;  // what is not known comes last, either way
      const ranks = values.map((value) => (Number.isNaN(value) ? missing : value));
      order = given.slice().sort(sorted.down ? (a, b) => ranks[b] - ranks[a] || a - b : (a, b) => ranks[a] - ranks[b] || a - b);
    };

    const matches = (term) => {
      const searched = columns.map((column, n) => n).filter((n) => columns[n].searched);
      const texts = searched.filter((n) => columns[n].kind === "text");
      const numbers = /^\d+$/.test(term) ? searched.filter((n) => columns[n].kind === "number") : [];
      const whole = texts.some((n) => words(n).includes(term)) || numbers.some((n) => key(n).includes(Number(term)));
      const fits = whole ? (word) => word === term : (word) => word.includes(term);
      const found = new Uint8Array(count);
      for (const n of texts) {
        const hits = words(n).map(fits);
        const { at } = columns[n];
        for (let row = 0; row < count; row++) if (hits[at[row]]) found[row] = 1;
      }
      for (const n of whole ? numbers : []) {
        const { at } = columns[n];
        for (let row = 0; row < count; row++) if (at[row] === Number(term)) found[row] = 1;
      }
      return found;
    };

    const filter = () => {
      const conditions = terms(find("[data-filter]")?.value ?? "").map(matches);
      for (const choice of root.querySelectorAll("[data-choice]")) {
        const { at } = columns[Number(choice.dataset.choice)];
        if (choice.value !== "") conditions.push(Uint8Array.from(at, (value) => value === Number(choice.value)));
      }
      shown = conditions.length ? order.filter((row) => conditions.every((found) => found[row])) : order;
    };

    heads.forEach((head, n) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      // Text first from A, numbers first from the largest; then the other way; then as it was.
      const first = columns[n].kind === "number";
      button.addEventListener("click", () => {
        const next = sorted.column !== n ? { column: n, down: first }
          : sorted.down === first ? { column: n, down: !first } : { column: -1, down: false };
        sorted = next;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (next.column >= 0) head.setAttribute("aria-sort", next.down ? "descending" : "ascending");
        sort();
        filter();
        page = 0;
        draw();
      });
    });
    root.querySelectorAll("[data-choice]").forEach((choice) => {
      const column = columns[Number(choice.dataset.choice)];
      column.words.forEach((word, place) => choice.append(new Option(word, place)));
    });
    root.querySelectorAll("[data-filter], [data-choice]").forEach((input) => input.addEventListener("input", () => {
      filter();
      page = 0;
      draw();
    }));
    root.querySelectorAll("[data-go]").forEach((button) => button.addEventListener("click", () => {
      page = { first: 0, previous: page - 1, next: page + 1, last: Infinity }[button.dataset.go];
      draw();
      if (button.disabled) find("[data-go]:enabled")?.focus();
    }));
    find("[data-size]").addEventListener("change", (event) => {
      const top = page * size;
      size = Number(event.target.value);
      page = Math.floor(top / size);
      draw();
    });
    draw();
    performance.mark("table-ready", { detail: root.dataset.table });
  };

  document.querySelectorAll("[data-table]").forEach(start);
})();
