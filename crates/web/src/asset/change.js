// The change page by keyboard, and comments without a page load in between.
"use strict";
(() => {
  const press = (value) => document.querySelector(`.decide button[value=${value}]`);
  const files = () => [...document.querySelectorAll("section.file")];

  function step(by) {
    const all = files();
    const top = all.findIndex((file) => file.getBoundingClientRect().bottom > 60);
    const next = all[Math.min(Math.max((top < 0 ? 0 : top) + by, 0), all.length - 1)];
    next?.scrollIntoView({ block: "start" });
    next?.querySelector("h3")?.setAttribute("tabindex", "-1");
    next?.querySelector("h3")?.focus({ preventScroll: true });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const keys = {
      j: () => step(1),
      k: () => step(-1),
      a: () => press("approve")?.click(),
      s: () => document.getElementById("review-text")?.focus(),
      c: () => files().find((file) => file.getBoundingClientRect().bottom > 60)?.querySelector("a.comment")?.click(),
      v: () => files().find((file) => file.getBoundingClientRect().bottom > 60)?.querySelector(".viewed button")?.click(),
      Escape: () => { location.href = "/"; },
    };
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  // Colours and collisions that the server had no time for are there a moment later. Of lines only the
  // text is exchanged, and only for the same text.
  const plain = () => document.querySelectorAll("section.file[data-plain]");
  const trying = () => document.querySelector("#collide[data-trying]");
  async function later(waits) {
    for (const wait of waits) {
      if (plain().length === 0 && !trying()) return;
      await new Promise((go) => setTimeout(go, wait));
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const tried = fresh.getElementById("collide");
      if (tried) trying()?.replaceWith(tried); else trying()?.remove();
      for (const file of plain()) {
        const next = fresh.getElementById(file.id);
        if (next?.dataset.path !== file.dataset.path) continue;
        const [old, cells] = [file, next].map((side) => side.querySelectorAll("table.diff tr:not(.talk) > td.c"));
        if (old.length !== cells.length) continue;
        old.forEach((cell, at) => {
          if (cell.textContent === cells[at].textContent) cell.replaceChildren(...cells[at].childNodes);
        });
        file.toggleAttribute("data-plain", next.hasAttribute("data-plain"));
      }
    }
  }
  later([500, 2000, 8000]);

  // Marking a file as viewed folds it without leaving the page.
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form.viewed");
    if (!form) return;
    event.preventDefault();
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
    if (answer.type !== "opaqueredirect") { form.submit(); return; }
    const lines = form.closest("section.file").querySelector("details.lines");
    const button = form.querySelector("button");
    const marked = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(marked));
    button.firstChild.textContent = button.firstChild.textContent.replace(/[☐☑]/u, marked ? "☑" : "☐");
    if (lines) lines.open = !marked;
    const blob = form.querySelector("[name=blob]");
    if (blob) blob.disabled = marked;
  });
})();
