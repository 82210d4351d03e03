// Presses the preview button by itself while somebody writes. Without scripts the button does it.
"use strict";
(() => {
  const form = document.querySelector(".issue-form");
  const body = form?.querySelector("#body");
  const place = form?.querySelector("#preview");
  if (!place) return;
  let timer, latest = 0;
  const preview = async () => {
    const mine = ++latest;
    const data = new FormData();
    for (const name of ["form_token", "title", "body", "version"]) data.set(name, form.elements[name].value);
    data.set("do", "preview");
    const answer = await fetch(form.action, { method: "POST", body: data });
    if (!answer.ok || mine !== latest) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector("#preview");
    if (next) place.replaceChildren(...next.childNodes);
  };
  body.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => preview().catch(() => {}), 400); });
  form.querySelector("button[value=preview]").addEventListener("click", (event) => {
    event.preventDefault();
    preview().catch(() => form.requestSubmit(event.target));
  });
  // Leaving with unsaved words asks first.
  let dirty = false;
  form.addEventListener("input", () => { dirty = true; });
  form.addEventListener("submit", () => { dirty = false; });
  addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });
})();
