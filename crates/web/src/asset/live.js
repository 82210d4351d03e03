// Replaces a part of the page with what the server renders anew. Without scripts nothing is lost:
// the page shows the same, as of when it was loaded.
"use strict";
(() => {
  // Fragments are the same for everybody; what proves that a form is ours comes from this page.
  const token = document.querySelector("header input[name=form_token]")?.value;

  const FIELDS = "textarea, input:not([type])";
  const keyOf = (part) => part.closest("[data-key]")?.dataset.key;

  for (const place of document.querySelectorAll("[data-live]")) {
    const source = new EventSource(place.dataset.live);
    let latest = null; // what came while somebody was writing

    function show() {
      if (latest === null) return;
      // Never take a field away from somebody: what they type next would be keys of the page.
      if (place.contains(document.activeElement) && document.activeElement.matches(FIELDS)) return;
      const written = [...place.querySelectorAll(FIELDS)];
      if (written.some((field) => field.value !== field.defaultValue)) return;
      const next = document.createElement("template");
      next.innerHTML = latest;
      latest = null;
      for (const field of next.content.querySelectorAll("input[name=form_token]")) field.value = token;
      const keys = (selector) => new Set([...place.querySelectorAll(selector)].map(keyOf));
      const [open, picked] = [keys("details[open]"), keys(".pick:checked")];
      place.replaceChildren(next.content);
      for (const details of place.querySelectorAll("details")) {
        if (open.has(keyOf(details))) details.open = true;
      }
      for (const box of place.querySelectorAll(".pick:enabled")) box.checked = picked.has(keyOf(box));
      place.dispatchEvent(new CustomEvent("live", { bubbles: true }));
    }

    source.addEventListener("fragment", (event) => { latest = event.data; show(); });
    for (const done of ["focusout", "reset"]) place.addEventListener(done, () => setTimeout(show));
    source.addEventListener("end", () => source.close());
    addEventListener("pagehide", () => source.close());
  }
})();
