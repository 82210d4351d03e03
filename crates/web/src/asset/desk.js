// The desk by keyboard. Every key presses a button that is on the page anyway.
"use strict";
(() => {
  const desk = document.getElementById("desk");
  const undo = document.getElementById("undo");
  const help = document.getElementById("help");
  const filter = document.getElementById("filter");
  const helpButton = document.getElementById("help-button");
  let current = null; // the key of the current card
  let decided = []; // forms of the last decision, to take it back
  let timer = 0;

  const cards = () => [...desk.querySelectorAll(".card")].filter((card) => !card.hidden);
  const card = () => cards().find((one) => one.dataset.key === current);

  function choose(one) {
    for (const other of desk.querySelectorAll(".card.current")) other.classList.remove("current");
    if (!one) { current = null; return; }
    current = one.dataset.key;
    one.classList.add("current");
    one.focus({ preventScroll: true });
    one.scrollIntoView({ block: "nearest" });
    const link = document.createElement("link"); // the next page is loaded before it is asked for
    link.rel = "prefetch";
    link.href = one.dataset.link;
    document.head.append(link);
  }

  function step(by) {
    const all = cards();
    const at = all.findIndex((one) => one.dataset.key === current);
    choose(all[Math.min(Math.max(at + by, 0), all.length - 1)]);
  }

  async function send(form, extra) {
    const body = new URLSearchParams(new FormData(form));
    for (const [name, value] of extra || []) body.append(name, value);
    const answer = await fetch(form.action, { method: "POST", body, redirect: "manual" });
    if (answer.type === "opaqueredirect" || answer.ok) return true;
    const text = await answer.text();
    const page = new DOMParser().parseFromString(text, "text/html");
    say(page.querySelector(".lead")?.textContent || answer.statusText, true);
    return false;
  }

  function say(text, bad) {
    clearTimeout(timer);
    undo.replaceChildren(text);
    undo.className = bad ? "notice bad" : "notice";
  }

  function offerUndo(picks) {
    decided = picks;
    say(undo.dataset.done + " ");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = undo.dataset.word + " (u)";
    button.addEventListener("click", takeBack);
    undo.append(button);
    timer = setTimeout(() => { decided = []; undo.replaceChildren(); undo.className = ""; }, 1000 * Number(undo.dataset.seconds));
  }

  async function takeBack() {
    if (!decided.length) return;
    const picks = decided;
    decided = [];
    const form = desk.querySelector("form") || document.querySelector("form[action='/sign-out']");
    const body = new URLSearchParams({ form_token: form.elements.form_token.value });
    for (const pick of picks) body.append("pick", pick);
    const answer = await fetch("/desk/undo", { method: "POST", body, redirect: "manual" });
    say(answer.type === "opaqueredirect" ? "" : (new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".lead")?.textContent || ""), answer.type !== "opaqueredirect");
  }

  async function decide(form, undoable) {
    const one = form.closest(".card");
    if (!form.reportValidity()) return;
    const button = form.querySelector("button");
    if (button.disabled) return;
    button.disabled = true;
    const pick = form.elements.pick.value;
    const all = cards();
    const next = all[all.indexOf(one) + 1] || all[all.indexOf(one) - 1];
    if (await send(form)) {
      one.hidden = true;
      choose(next);
      if (undoable) offerUndo([pick]);
    } else {
      button.disabled = false;
    }
  }

  async function approveMany() {
    const picked = cards().filter((one) => one.querySelector(".pick:checked"));
    if (!picked.length) return;
    const forms = picked.map((one) => one.querySelector("form.approve"));
    const picks = forms.map((form) => form.elements.pick.value);
    const first = forms[0];
    if (await send(first, picks.slice(1).map((pick) => ["pick", pick]))) {
      for (const one of picked) one.hidden = true;
      choose(cards()[0]);
      offerUndo(picks);
    }
  }

  desk.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.closest(".card")) return;
    event.preventDefault();
    decide(form, /approve$|send-back$/.test(new URL(form.action).pathname));
  });

  desk.addEventListener("live", () => {
    apply();
    if (current && !card()) choose(cards()[0]);
    else if (card()) { card().classList.add("current"); if (document.activeElement === document.body) card().focus({ preventScroll: true }); }
  });

  function apply() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const one of desk.querySelectorAll(".card")) {
      const text = one.textContent.toLowerCase();
      one.hidden = !words.every((word) => text.includes(word));
    }
  }
  filter.addEventListener("input", apply);
  helpButton.hidden = false;
  helpButton.addEventListener("click", () => help.showModal());

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const field = event.target.matches("input:not([type=checkbox]), textarea, select");
    if (field) {
      if (event.key === "Escape") { event.target.blur(); card()?.focus({ preventScroll: true }); }
      return;
    }
    const one = card();
    const keys = {
      j: () => step(1),
      k: () => step(-1),
      Enter: () => { if (one && event.target.closest("a, button") === null) location.href = one.dataset.link; else return false; },
      a: () => one && decide(one.querySelector("form.approve"), one.dataset.approvable === "true"),
      s: () => one?.querySelector("input[name=text]")?.focus(),
      p: () => one && decide(one.querySelector("form.park"), false),
      x: () => { const box = one?.querySelector(".pick"); if (box && !box.disabled) box.checked = !box.checked; },
      A: approveMany,
      u: takeBack,
      "/": () => filter.focus(),
      "?": () => help.showModal(),
    };
    const action = keys[event.key];
    if (!action) return;
    if (action() !== false) event.preventDefault();
  });

  choose(cards()[0]);
})();
