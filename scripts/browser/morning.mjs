// A morning at the desk, by keys alone: twenty results of mixed quality, each decided.
// usage: node morning.mjs SERVER TOKEN
// Prints the keystrokes and the page loads; exits non-zero when anything is not as it should be.
import assert from "node:assert/strict";
import { loads, signedIn, withBrowser } from "./browser.mjs";

const [server, token] = process.argv.slice(2);
let keys = 0;
await withBrowser(async (browser) => {
  const { page, faults } = await signedIn(browser, server, token);
  let loaded = 0;
  page.on("load", () => { loaded += 1; });
  const press = async (key) => { keys += 1; await page.keyboard.press(key); };
  const type = async (text) => { keys += text.length; await page.keyboard.type(text); };
  const current = () => page.locator(".card.current");
  const waiting = () => page.locator(".card:not([hidden])").count();
  const gone = (key) => page.waitForFunction((key) => !document.querySelector(`.card[data-key="${key}"]:not([hidden])`), key);
  const back = (key) => page.waitForFunction((key) => document.querySelector(`.card[data-key="${key}"]:not([hidden])`), key);

  await page.goto("/");
  const total = await waiting();
  assert.equal(total, 20, "twenty results wait");

  // The first decision is taken back once, as one does: at once, before its answer came, although
  // the list is already without the card.
  const green = async () => (await current().getAttribute("data-approvable")) === "true";
  const approvable = async () => { while (!(await green())) await press("j"); };
  await approvable();
  const first = await current().getAttribute("data-key");
  const next = await current().evaluate((card) => card.nextElementSibling.dataset.key);
  const left = (key) => page.waitForFunction((key) => !document.querySelector(`.card[data-key="${key}"]`), key);
  // Answers are held back, and lost, in the page: what a browser's tools intercept may hang instead.
  await page.evaluate(() => {
    const real = globalThis.fetch;
    const held = new Promise((resolve) => { globalThis.answerAll = resolve; });
    globalThis.fetch = async (address, options) => {
      if (!new URL(address, location).pathname.endsWith("/approve")) return real(address, options);
      if (globalThis.loseAll) throw new TypeError("lost");
      const answer = await real(address, options);
      await held;
      return answer;
    };
  });
  await press("a");
  await left(first);
  assert.equal(await current().getAttribute("data-key"), next, "the card after a decided one is next");
  await approvable();
  const picked = await current().getAttribute("data-key");
  await press("x");
  await press("u");
  await page.evaluate(() => globalThis.answerAll());
  await back(first);
  const pick = page.locator(`.card[data-key="${picked}"] .pick`);
  assert.equal(await pick.isChecked(), true, "what is picked stays picked in a list that came anew");
  await pick.uncheck();

  // A decision that does not arrive brings its card back and says so.
  await approvable();
  const lost = await current().getAttribute("data-key");
  await page.evaluate(() => { globalThis.loseAll = true; });
  await press("a");
  await page.locator("#undo.bad").waitFor();
  await page.evaluate(() => { globalThis.loseAll = false; });
  assert.equal(await current().getAttribute("data-key"), lost, "what was not decided is in view");

  // Help opens and closes by keys.
  await press("?");
  assert.equal(await page.locator("dialog[open]").count(), 1, "help is open");
  await press("Escape");

  // Whoever goes on to the next change at once has still decided.
  const decisions = {};
  const alarmed = async () => (await current().locator(".finding.alarm").count()) > 0;
  while (!(await green()) || (await alarmed())) await press("j");
  const hurried = await current().getAttribute("data-key");
  decisions[hurried] = "approve";
  await loads(page, async () => { await press("a"); await press("Enter"); });
  assert.match(page.url(), /\/p\/night\/\d+/);
  await page.goto("/");
  await gone(hurried);

  // A list that comes anew takes no field away: what is typed next would be keys of the page.
  const elsewhere = await page.context().newPage();
  await elsewhere.goto("/");
  while (!(await green()) || (await alarmed())) await press("j");
  const decidedThere = await current().getAttribute("data-key");
  await elsewhere.locator(`.card[data-key="${decidedThere}"] form.approve button`).waitFor();
  await press("j");
  await press("s");
  const came = page.evaluate(() => new Promise((resolve) => {
    const list = new EventSource(document.getElementById("desk").dataset.live);
    list.addEventListener("fragment", () => { list.close(); setTimeout(resolve, 100); });
  }));
  await elsewhere.locator(`.card[data-key="${decidedThere}"] form.approve button`).click();
  decisions[decidedThere] = "approve";
  await came;
  assert.equal(await page.evaluate(() => document.activeElement.name), "text", "the field is still there");
  await press("Escape");
  await gone(decidedThere);
  await elsewhere.close();

  // Every card: approve what is proved and harmless, answer what asks, send the rest back.
  while (await waiting()) {
    const card = current();
    const key = await card.getAttribute("data-key");
    if ((await green()) && !(await alarmed())) {
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
  await page.locator("#desk .empty").waitFor(); // the list came anew, after words were sent as well
  assert.deepEqual(faults, [], "the browser complains");
  console.log(`20 decided: ${keys} keystrokes, ${loaded} page load(s)`);
});
