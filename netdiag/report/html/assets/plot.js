// Plots: show a part of the field. Lines stretch by the viewBox; signs, ticks and grid are placed anew.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const CLOSEST = 1 / 4000;  // browsers place lines in single precision: closer would jump
  const STEP = 1.5;

  const roundStep = (span, most) => {
    const power = 10 ** Math.floor(Math.log10(span / most));
    return [1, 2, 5, 10, 20].map((factor) => factor * power).find((step) => span <= step * most * (1 + 1e-9));
  };
  const make = (name, attributes, text = "") => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };
  const percent = (share) => `${(100 * share).toFixed(3)}%`;

  const start = (figure) => {
    const find = (selector) => figure.querySelector(selector);
    const area = find(".plot-area"), field = find(".field"), curves = find(".curves");
    const { width, height, left, top, unitS, unitBytes } =
      Object.fromEntries(Object.entries(figure.dataset).map(([name, value]) => [name, Number(value)]));
    const whole = { x: 0, y: 0, w: width, h: height };
    let view = whole;

    const ticks = () => {
      const grid = [], xs = [], ys = [];
      const from = left + view.x * unitS, span = view.w * unitS;
      const step = roundStep(span, field.clientWidth > 480 ? 8 : 4);
      const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
      for (let n = Math.max(Math.ceil(from / step), 0); n * step <= from + span; n++) {
        const at = percent((n * step - from) / span);
        const end = n * step - from > 0.96 * span ? { "text-anchor": "end" } : {};
        xs.push(make("text", { x: at, y: 14, ...end }, (n * step).toFixed(digits)));
        grid.push(make("line", { x1: at, x2: at, y1: 0, y2: "100%" }));
      }
      const high = top - view.y * unitBytes, tall = view.h * unitBytes;
      const rise = Math.max(Math.round(roundStep(tall, 5)), 1);
      for (let number = Math.ceil((high - tall) / rise) * rise; number <= high; number += rise) {
        const at = percent((high - number) / tall);
        ys.push(make("text", { x: "100%", dx: -6, y: at, dy: 4 }, (number || 0).toLocaleString("en-US")));  // -0 is 0
        grid.push(make("line", { y1: at, y2: at, x1: 0, x2: "100%" }));
      }
      find(".xs").replaceChildren(...xs);
      find(".ys").replaceChildren(...ys);
      find(".grid").replaceChildren(...grid);
    };

    const draw = () => {
      curves.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
      for (const sign of figure.querySelectorAll(".signs > svg")) {
        const x = (sign.dataset.x - view.x) / view.w, y = (sign.dataset.y - view.y) / view.h;
        const inside = x >= 0 && x <= 1 && y >= 0 && y <= 1;
        sign.style.display = inside ? "" : "none";
        if (inside) { sign.setAttribute("x", percent(x)); sign.setAttribute("y", percent(y)); }
      }
      ticks();
      const all = view.w === width && view.h === height;
      find('[data-zoom="out"]').disabled = find('[data-zoom="whole"]').disabled = all;
      find('[data-zoom="left"]').disabled = view.x <= 0;
      find('[data-zoom="right"]').disabled = view.x + view.w >= width;
    };

    const show = (x, y, w, h) => {
      w = Math.min(Math.max(w, width * CLOSEST), width);
      h = Math.min(Math.max(h, height * CLOSEST), height);
      view = { x: Math.min(Math.max(x, 0), width - w), y: Math.min(Math.max(y, 0), height - h), w, h };
      draw();
    };
    // Around a point, given as shares of what is in view.
    const zoom = (factor, px = 0.5, py = 0.5) => {
      const w = Math.min(view.w / factor, width), h = Math.min(view.h / factor, height);
      show(view.x + (view.w - w) * px, view.y + (view.h - h) * py, w, h);
    };
    const move = (x, y) => show(view.x + view.w * x, view.y + view.h * y, view.w, view.h);

    const acts = {
      in: () => zoom(STEP), out: () => zoom(1 / STEP), whole: () => show(0, 0, width, height),
      left: () => move(-0.25, 0), right: () => move(0.25, 0), up: () => move(0, -0.25), down: () => move(0, 0.25),
    };
    const keys = {
      "+": "in", "=": "in", "-": "out", 0: "whole", Home: "whole",
      ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down",
    };
    figure.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => {
      acts[button.dataset.zoom]();
      if (button.disabled) find('[data-zoom="in"]').focus();  // a disabled button would lose the keyboard
    }));
    area.addEventListener("keydown", (event) => {
      const act = keys[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      acts[act]();
    });

    const place = (event) => {
      const box = field.getBoundingClientRect();
      const within = (value) => Math.min(Math.max(value, 0), 1);
      return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
    };
    // The wheel belongs to the page until the plot has been chosen.
    field.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !area.contains(document.activeElement)) return;
      event.preventDefault();
      zoom(STEP ** (-event.deltaY / 100), ...place(event));
    }, { passive: false });

    let began = null;
    let box = null;
    field.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType === "touch") return;
      began = place(event);
      area.focus({ preventScroll: true });
      event.preventDefault();
    });
    field.addEventListener("pointermove", (event) => {
      if (!began) { near(event); return; }
      const [x, y] = place(event);
      if (!box) {
        box = field.appendChild(document.createElement("div"));
        box.className = "drag";
        field.setPointerCapture(event.pointerId);
      }
      const style = { left: Math.min(x, began[0]), top: Math.min(y, began[1]), width: Math.abs(x - began[0]), height: Math.abs(y - began[1]) };
      for (const [name, share] of Object.entries(style)) box.style[name] = percent(share);
    });
    field.addEventListener("pointerup", (event) => {
      if (began && box) {
        const [x, y] = place(event);
        const w = Math.abs(x - began[0]), h = Math.abs(y - began[1]);
        if (w * field.clientWidth > 4) {
          // A drag along the time axis alone keeps the height.
          const flat = h * field.clientHeight < 12;
          show(view.x + Math.min(x, began[0]) * view.w, flat ? view.y : view.y + Math.min(y, began[1]) * view.h, w * view.w, flat ? view.h : h * view.h);
        }
        box.remove();
      } else if (began && nearest) {
        location.hash = nearest.link.getAttribute("href");
      }
      began = box = null;
    });
    field.addEventListener("pointercancel", () => { box?.remove(); began = box = null; });
    field.addEventListener("dblclick", (event) => { event.preventDefault(); acts.whole(); });

    // What the pointer is at: the nearest segment, told in the words of its line in the drawing.
    let strokes = null;
    let nearest = null;
    const read = () => [...curves.querySelectorAll("a")].map((link) => {
      const [x, y, tall] = link.firstElementChild.getAttribute("d").match(/-?\d+/g).map(Number);
      return { link, x, y, tall };
    });
    const near = (event) => {
      strokes ??= read();
      const [px, py] = place(event);
      const scaleX = field.clientWidth / view.w, scaleY = field.clientHeight / view.h;
      const x = view.x + px * view.w, y = view.y + py * view.h;
      let best = 24;
      let found = null;
      for (const stroke of strokes) {
        const far = Math.hypot((stroke.x - x) * scaleX, Math.max(stroke.y - y, y - stroke.y - stroke.tall, 0) * scaleY);
        if (far < best) [best, found] = [far, stroke];
      }
      if (found === nearest) return;
      nearest?.link.firstElementChild.classList.remove("near");
      found?.link.firstElementChild.classList.add("near");
      nearest = found;
      const line = found && document.getElementById(found.link.getAttribute("href").slice(1));
      find("[data-readout]").textContent = line
        ? `Frame ${line.querySelector(".frame").textContent}, ${line.querySelector(".at").textContent} s: ${line.querySelector(".says").textContent}`
        : "";
    };
    field.addEventListener("pointerleave", () => { if (!began) near({ clientX: -1e6, clientY: -1e6 }); });

    let before = null;
    addEventListener("beforeprint", () => { before = view; acts.whole(); });
    addEventListener("afterprint", () => { if (before) show(before.x, before.y, before.w, before.h); });
    new ResizeObserver(() => ticks()).observe(field);
    draw();
  };

  document.querySelectorAll("[data-plot]").forEach(start);
})();
