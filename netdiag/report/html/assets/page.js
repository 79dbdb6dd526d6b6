// The page's own script: theme, copying, printing, opening what is folded. Nothing here makes a connection.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // The reader's choice of theme holds for this page while it is open; a file has no place to keep it.
  const dark = () => root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const tellTheme = () => all("[data-theme-switch]").forEach((b) => b.setAttribute("aria-pressed", String(dark())));
  all("[data-theme-switch]").forEach((button) => button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    tellTheme();
  }));
  tellTheme();

  // The raw JSON is laid out when it is first asked for: it can be long.
  const data = () => document.getElementById("data").textContent;
  let whole = null;
  const text = (element) => {
    if (!("json" in element.dataset)) return element.textContent;
    whole ??= JSON.stringify(JSON.parse(data()), null, 2);
    return whole;
  };
  const MOST_SHOWN = 300000;
  all("[data-json]").forEach((pre) => pre.closest("details").addEventListener("toggle", () => {
    const json = text(pre);
    pre.textContent = json.length <= MOST_SHOWN ? json
      : `${json.slice(0, MOST_SHOWN)}\n… ${json.length - MOST_SHOWN} more characters: copy or save it`;
  }, { once: true }));

  // Where a file may not use the clipboard, the text is selected, so that Ctrl-C takes it.
  const say = (button, words) => {
    const before = button.dataset.label ??= button.textContent;
    button.textContent = words;
    setTimeout(() => { button.textContent = before; }, 2000);
  };
  all("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(text(source));
      say(button, "Copied");
    } catch {
      getSelection().selectAllChildren(source);
      say(button, "Selected: press Ctrl-C");
    }
  }));
  all("[data-save]").forEach((button) => button.addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([data()], { type: "application/json" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = button.dataset.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }));

  // A link leads to what it names even where that is folded away.
  const unfold = (element) => {
    for (let part = element; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  };
  const follow = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target) { unfold(target); target.scrollIntoView(); }
  };
  addEventListener("hashchange", follow);
  follow();

  const folded = () => all("details:not(.raw)");
  all("[data-open-all]").forEach((button) => button.addEventListener("click", () => {
    const open = button.getAttribute("aria-pressed") !== "true";
    folded().forEach((part) => { part.open = open; });
    button.setAttribute("aria-pressed", String(open));
  }));
  all("[data-print]").forEach((button) => button.addEventListener("click", () => print()));
  let before = [];
  addEventListener("beforeprint", () => {
    before = folded().filter((part) => !part.open);
    before.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => before.forEach((part) => { part.open = false; }));
})();
