// In by a provider of identities, as a person does it: the button, the provider's page, and back.
// usage: node provider.mjs SERVER
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { axePath, loads, withBrowser } from "./browser.mjs";

const [server] = process.argv.slice(2);
const axe = readFileSync(axePath, "utf8");
await withBrowser(async (browser) => {
  for (const javaScriptEnabled of [true, false]) {
    const context = await browser.newContext({ baseURL: server, javaScriptEnabled });
    const page = await context.newPage();
    const faults = [];
    page.on("console", (message) => { if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) faults.push(message.text()); });
    page.on("pageerror", (error) => faults.push(String(error)));
    await page.goto("/board");
    assert.equal(new URL(page.url()).pathname, "/sign-in");
    await loads(page, () => page.getByRole("link", { name: "Sign in with House & Co" }).click());
    assert.notEqual(new URL(page.url()).origin, new URL(server).origin, "the provider's own page");
    await loads(page, () => page.locator("#agree").click());
    assert.equal(page.url(), `${server}/board`, "back where one wanted to go");
    const who = await page.locator("nav .who").innerText();
    assert.equal(who.trim().split(/\s+/).pop(), "ada");
    const kept = await context.cookies();
    assert.deepEqual(kept.map((one) => one.name), ["nightshift_session"], "nothing but the session is left");
    assert.deepEqual(faults, [], "the browser complains");
    await context.close();
  }

  // The sign-in page with its buttons, and after a failure, for people with different means.
  const context = await browser.newContext({ baseURL: server, bypassCSP: true, viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  for (const path of ["/sign-in", "/sign-in?invite=x", "/sign-in/with/nobody", "/sign-in/with/house/back?state=x"]) {
    await page.goto(path);
    await page.evaluate(axe);
    const found = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
    assert.deepEqual(found.violations.map((one) => one.id), [], path);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 1, `${path} is too wide`);
  }
  console.log("in as ada");
});
