// The desk by keyboard. Every key presses a button that is on the page anyway.
"use strict";
(() => {
  const desk = document.getElementById("desk");
  const undo = document.getElementById("undo");
  const help = document.getElementById("help");
  const filter = document.getElementById("filter");
  const helpButton = document.getElementById("help-button");
  let current = null; // the key of the current card
  const STALE = 3000; // ms: a list that was made before a decision may come this long after its answer
  let decisions = []; // what can still be taken back, the newest last: its cards, its picks, whether it was taken
  const going = new Map(); // keys of cards that are decided, and with what, until a list comes without them

  const cards = () => [...desk.querySelectorAll(".card")].filter((card) => !card.hidden);
  const keyed = (key) => cards().find((one) => one.dataset.key === key);
  const card = () => keyed(current);

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
    const taken = await posted(form.action, body);
    if (taken) form.reset(); // what is sent is no longer being written
    return taken;
  }

  // Whether the server took it; what it says, or that it says nothing, is shown.
  async function posted(address, body) {
    try {
      // Also where the page is left meanwhile; a browser does that for small ones only.
      const keepalive = String(body).length < 60000;
      const answer = await fetch(address, { method: "POST", body, redirect: "manual", keepalive });
      if (answer.type === "opaqueredirect" || answer.ok) return true;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      say(page.querySelector(".lead")?.textContent || answer.statusText, true);
    } catch {
      say(undo.dataset.unreachable, true);
    }
    return false;
  }

  function say(text, bad) {
    undo.replaceChildren(text);
    undo.className = bad ? "notice bad" : "notice";
  }

  function quiet() {
    undo.replaceChildren();
    undo.className = "";
  }

  // A decision counts from its key, not from its answer: `u` finds it at once, and waits for it.
  async function undoable(one) {
    decisions.push(one);
    if (!(await one.taken)) {
      decisions = decisions.filter((other) => other !== one);
      return;
    }
    if (!decisions.includes(one)) return; // taken back meanwhile
    say(undo.dataset.done + " ");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = undo.dataset.word + " (u)";
    button.addEventListener("click", takeBack);
    undo.append(button);
    setTimeout(() => {
      decisions = decisions.filter((other) => other !== one);
      if (!decisions.length && undo.contains(button)) quiet();
    }, 1000 * Number(undo.dataset.seconds));
  }

  async function takeBack() {
    const last = decisions.pop();
    if (!last || !(await last.taken)) return;
    const form = desk.querySelector("form") || document.querySelector("form[action='/sign-out']");
    const body = new URLSearchParams({ form_token: form.elements.form_token.value });
    for (const pick of last.picks) body.append("pick", pick);
    if (!(await posted("/desk/undo", body))) return;
    quiet();
    stay(last.keys, last.taken);
  }

  // Hides what is decided and goes on to `next` at once; a refusal brings all of it back.
  async function leave(keys, next, taken) {
    for (const key of keys) going.set(key, taken);
    apply();
    choose(keyed(next) || cards().at(-1));
    if (await taken) {
      setTimeout(() => stay(keys, taken), STALE);
    } else {
      stay(keys, taken);
      if (!document.activeElement.matches("input[name=text]")) choose(keyed(keys[0]));
    }
  }

  function stay(keys, taken) {
    for (const key of keys) if (going.get(key) === taken) going.delete(key);
    apply();
  }

  function decide(form, canUndo) {
    const one = form?.closest(".card"); // not every card has every form
    if (!one || !form.reportValidity() || form.querySelector("button").disabled) return;
    const all = cards();
    const next = all[all.indexOf(one) + 1] || all[all.indexOf(one) - 1];
    const taken = send(form);
    const keys = [one.dataset.key];
    if (canUndo) undoable({ keys, picks: [form.elements.pick.value], taken });
    leave(keys, next?.dataset.key, taken);
  }

  function approveMany() {
    const picked = cards().filter((one) => one.querySelector(".pick:checked"));
    if (!picked.length) return;
    const forms = picked.map((one) => one.querySelector("form.approve"));
    const picks = forms.map((form) => form.elements.pick.value);
    const next = cards().find((one) => !picked.includes(one));
    const taken = send(forms[0], picks.slice(1).map((pick) => ["pick", pick]));
    const keys = picked.map((one) => one.dataset.key);
    undoable({ keys, picks, taken });
    leave(keys, next?.dataset.key, taken);
  }

  desk.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.closest(".card")) return;
    event.preventDefault();
    decide(form, /approve$|send-back$/.test(new URL(form.action).pathname));
  });

  desk.addEventListener("live", () => {
    const listed = new Set([...desk.querySelectorAll(".card")].map((one) => one.dataset.key));
    for (const key of going.keys()) if (!listed.has(key)) going.delete(key);
    apply();
    if (current && !card()) choose(cards()[0]);
    else if (card()) { card().classList.add("current"); if (document.activeElement === document.body) card().focus({ preventScroll: true }); }
  });

  function apply() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const one of desk.querySelectorAll(".card")) {
      const text = one.textContent.toLowerCase();
      one.hidden = going.has(one.dataset.key) || !words.every((word) => text.includes(word));
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
