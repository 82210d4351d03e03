// A run's log as it grows. The server sends rendered records; they are put at the end, and a result
// goes into its call. Without scripts the page shows the same as of when it was loaded.
"use strict";
(() => {
  const log = document.getElementById("log");
  const facts = document.getElementById("facts");
  const end = document.getElementById("end");
  if (!log || !log.dataset.follow) return;
  const MOST = 4000; // records kept on the page; older ones are a link away
  const source = new EventSource(log.dataset.follow);

  const atEnd = () => innerHeight + scrollY >= document.documentElement.scrollHeight - 80;

  function join(item) {
    const calls = [...log.querySelectorAll("[data-call]")].reverse();
    const call = calls.find((one) => one.dataset.call === item.dataset.answers && !one.querySelector(".answer"));
    const output = item.querySelector("pre");
    const details = call?.querySelector("details");
    if (!details || !output) return;
    output.id = item.id;
    output.classList.add("answer");
    details.append(output);
    if ("open" in item.dataset) details.open = true;
    item.remove();
  }

  source.addEventListener("open", () => { end.textContent = end.dataset.going; });
  source.addEventListener("error", () => { if (source.readyState !== EventSource.CLOSED) end.textContent = end.dataset.lost; });
  source.addEventListener("append", (event) => {
    const follow = atEnd();
    const next = document.createElement("template");
    next.innerHTML = event.data;
    const [first] = next.content.children;
    const steps = log.querySelectorAll("li.step");
    const known = first?.className === "step" && steps[steps.length - 1]?.textContent === first.textContent;
    if (known) first.remove(); // the step goes on
    const items = [...next.content.children];
    document.getElementById("nothing")?.remove();
    log.append(next.content);
    for (const item of items) if ("answers" in item.dataset) join(item);
    while (log.children.length > MOST) log.firstElementChild.remove();
    if (follow) end.scrollIntoView({ block: "end" });
  });
  source.addEventListener("facts", (event) => {
    const typing = facts.contains(document.activeElement) && document.activeElement.value;
    if (typing && document.activeElement.matches("textarea")) return; // never take words away from somebody
    const next = document.createElement("template");
    next.innerHTML = event.data;
    facts.replaceChildren(next.content);
    const state = facts.querySelector("dd .badge");
    const shown = document.querySelector(".title > .badge");
    if (state && shown) shown.replaceWith(state.cloneNode(true));
  });
  source.addEventListener("end", () => {
    source.close();
    end.textContent = end.dataset.ended;
  });
  addEventListener("pagehide", () => source.close());
  if (location.hash === "") end.scrollIntoView({ block: "end" });
})();
