// Replaces a part of the page with what the server renders anew. Without scripts nothing is lost:
// the page shows the same, as of when it was loaded.
"use strict";
(() => {
  // Fragments are the same for everybody; what proves that a form is ours comes from this page.
  const token = document.querySelector("header input[name=form_token]")?.value;

  for (const place of document.querySelectorAll("[data-live]")) {
    const source = new EventSource(place.dataset.live);
    let latest = null; // what came while somebody was writing

    function show() {
      if (latest === null) return;
      const typing = place.contains(document.activeElement) && document.activeElement.matches("input[name=text], textarea");
      if (typing && document.activeElement.value) return; // never take words away from somebody
      const written = [...place.querySelectorAll("textarea, input:not([type])")];
      if (written.some((field) => field.value !== field.defaultValue)) return;
      const next = document.createElement("template");
      next.innerHTML = latest;
      latest = null;
      for (const field of next.content.querySelectorAll("input[name=form_token]")) field.value = token;
      const before = place.querySelectorAll("details[open]");
      const open = new Set([...before].map((d) => d.closest("[data-key]")?.dataset.key));
      place.replaceChildren(next.content);
      for (const details of place.querySelectorAll("details")) {
        if (open.has(details.closest("[data-key]")?.dataset.key)) details.open = true;
      }
      place.dispatchEvent(new CustomEvent("live", { bubbles: true }));
    }

    source.addEventListener("fragment", (event) => { latest = event.data; show(); });
    place.addEventListener("focusout", () => setTimeout(show));
    source.addEventListener("end", () => source.close());
    addEventListener("pagehide", () => source.close());
  }
})();
