// A morning at the desk, by keys alone: twenty results of mixed quality, each decided.
// usage: node morning.mjs SERVER TOKEN
// Prints the keystrokes and the page loads; exits non-zero when anything is not as it should be.
import assert from "node:assert/strict";
import { signedIn, withBrowser } from "./browser.mjs";

const [server, token] = process.argv.slice(2);
let keys = 0;
await withBrowser(async (browser) => {
  const { page, faults } = await signedIn(browser, server, token);
  let loads = 0;
  page.on("load", () => { loads += 1; });
  const press = async (key) => { keys += 1; await page.keyboard.press(key); };
  const type = async (text) => { keys += text.length; await page.keyboard.type(text); };
  const current = () => page.locator(".card.current");
  const waiting = () => page.locator(".card:not([hidden])").count();
  const gone = (key) => page.waitForFunction((key) => !document.querySelector(`.card[data-key="${key}"]:not([hidden])`), key);
  const back = (key) => page.waitForFunction((key) => document.querySelector(`.card[data-key="${key}"]:not([hidden])`), key);

  await page.goto("/");
  const total = await waiting();
  assert.equal(total, 20, "twenty results wait");

  // The first decision is taken back once, as one does.
  while ((await current().getAttribute("data-approvable")) !== "true") await press("j");
  const first = await current().getAttribute("data-key");
  await press("a");
  await gone(first);
  await press("u");
  await back(first);

  // Help opens and closes by keys.
  await press("?");
  assert.equal(await page.locator("dialog[open]").count(), 1, "help is open");
  await press("Escape");

  // Every card: approve what is proved and harmless, answer what asks, send the rest back.
  const decisions = {};
  while (await waiting()) {
    if (!(await current().count())) await press("k");
    const card = current();
    const key = await card.getAttribute("data-key");
    const alarm = (await card.locator(".finding.alarm").count()) > 0;
    if ((await card.getAttribute("data-approvable")) === "true" && !alarm) {
      await press("a");
      decisions[key] = "approve";
    } else {
      const asks = (await card.locator("form[action='/desk/answer']").count()) > 0;
      await press("s");
      await type(asks ? "Blue." : "Put the test back.");
      await press("Enter");
      decisions[key] = asks ? "answer" : "send-back";
    }
    await gone(key);
  }
  const counts = Object.values(decisions).reduce((sum, one) => ({ ...sum, [one]: (sum[one] || 0) + 1 }), {});
  assert.deepEqual(counts, { approve: 14, answer: 2, "send-back": 4 });
  assert.equal(await page.locator(".empty").isVisible().catch(() => false) || (await waiting()) === 0, true);
  assert.deepEqual(faults, [], "the browser complains");
  console.log(`20 decided: ${keys} keystrokes, ${loads} page load(s)`);
});
