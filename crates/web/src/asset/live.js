// Replaces a part of the page with what the server renders anew. Without scripts nothing is lost:
// the page shows the same, as of when it was loaded.
"use strict";
(() => {
  for (const place of document.querySelectorAll("[data-live]")) {
    const source = new EventSource(place.dataset.live);
    source.addEventListener("fragment", (event) => {
      const next = document.createElement("template");
      next.innerHTML = event.data;
      const before = place.querySelectorAll("details[open]");
      const open = new Set([...before].map((d) => d.closest("[data-key]")?.dataset.key));
      const typing = place.contains(document.activeElement) && document.activeElement.matches("input[name=text], textarea");
      if (typing && document.activeElement.value) return; // never take words away from somebody
      const written = [...place.querySelectorAll("textarea, input:not([type])")];
      if (written.some((field) => field.value !== field.defaultValue)) return;
      place.replaceChildren(next.content);
      for (const details of place.querySelectorAll("details")) {
        if (open.has(details.closest("[data-key]")?.dataset.key)) details.open = true;
      }
      place.dispatchEvent(new CustomEvent("live", { bubbles: true }));
    });
    source.addEventListener("end", () => source.close());
    addEventListener("pagehide", () => source.close());
  }
})();
