// Every page as people with different means meet it: without scripts, on a phone, in the dark, by a
// screen reader's rules, and with hostile words in every field.
// usage: node pages.mjs SERVER TOKEN PATH …
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { axePath, loads, signedIn, withBrowser } from "./browser.mjs";

const [server, token, ...paths] = process.argv.slice(2);
const axe = readFileSync(axePath, "utf8");
const problems = [];
await withBrowser(async (browser) => {
  for (const [look, options] of Object.entries({
    light: { colorScheme: "light" },
    dark: { colorScheme: "dark" },
    phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
  })) {
    // The checker is put in by the test; the page's own policy stays in force for what it measures.
    const { context, page, faults } = await signedIn(browser, server, token, { ...options, bypassCSP: true });
    page.on("dialog", (dialog) => { problems.push(`${look}: a dialog opened: ${dialog.message()}`); dialog.dismiss(); });
    for (const path of paths) {
      const answer = await page.goto(path, { waitUntil: "load" });
      if (answer.status() !== 200) problems.push(`${look} ${path}: status ${answer.status()}`);
      await page.evaluate(axe);
      const found = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
      // A link that somebody's Markdown left empty is their word, not our target.
      const ours = found.violations.filter((one) => one.id !== "target-size" || one.nodes.some((node) => !node.html.startsWith('<a href=""')));
      for (const one of ours) problems.push(`${look} ${path}: ${one.id}: ${one.nodes.map((node) => node.target.join(" ")).slice(0, 4).join("; ")}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (look === "phone" && wide > 1) problems.push(`${look} ${path}: ${wide} px wider than the screen`);
    }
    for (const fault of faults) problems.push(`${look}: ${fault}`);
    await context.close();
  }

  // With the policy in force nothing may even try to break it.
  const strict = await signedIn(browser, server, token);
  strict.page.on("dialog", (dialog) => { problems.push(`a dialog opened: ${dialog.message()}`); dialog.dismiss(); });
  await strict.context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  for (const path of paths) {
    await strict.page.goto(path, { waitUntil: "load" });
    const links = await strict.page.$$eval("a[href]", (all) => all.map((a) => a.protocol));
    for (const protocol of links) if (!["http:", "https:", "mailto:"].includes(protocol)) problems.push(`${path}: a link with ${protocol}`);
    if (await strict.page.evaluate(() => globalThis.__pwned)) problems.push(`${path}: a planted script ran`);
  }
  for (const fault of strict.faults) problems.push(fault);

  // Without scripts: the whole of every page is there, and a decision can be made.
  const plain = await signedIn(browser, server, token, { javaScriptEnabled: false });
  for (const path of paths) {
    const answer = await plain.page.goto(path);
    if (answer.status() !== 200) problems.push(`without scripts ${path}: status ${answer.status()}`);
    assert.equal(await plain.page.locator("main h1").count(), 1, `${path} has one heading`);
  }
  await plain.page.goto("/");
  const before = await plain.page.locator(".card").count();
  await loads(plain.page, () => plain.page.locator(".card[data-approvable=true] form.approve button").first().click());
  assert.equal(new URL(plain.page.url()).pathname, "/");
  assert.equal(await plain.page.locator(".card").count(), before - 1, "a decision without scripts");
});
for (const problem of problems) console.error(problem);
assert.equal(problems.length, 0, `${problems.length} problem(s)`);
console.log(`${paths.length} pages: light, dark, phone, strict policy, without scripts`);
