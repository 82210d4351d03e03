// Suggestions and pictures in a change: by keyboard alone, without scripts, and with hostile pictures.
// usage: node suggest.mjs SERVER TOKEN KEYBOARD-PATH PLAIN-PATH PICTURES-PATH
import assert from "node:assert/strict";
import { loads, signedIn, withBrowser } from "./browser.mjs";

const [server, token, byKeys, plain, pictures] = process.argv.slice(2);

await withBrowser(async (browser) => {
  // By keyboard: comment, take the lines, change them, keep, apply.
  const keys = await signedIn(browser, server, token);
  const page = keys.page;
  const tabTo = async (selector) => {
    for (let n = 0; n < 200; n++) {
      if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
      await page.keyboard.press("Tab");
    }
    assert.fail(`${selector} is not reached by keyboard`);
  };
  await page.goto(byKeys);
  await loads(page, () => page.keyboard.press("c"));
  assert.match(page.url(), /comment=/);
  const focus = await page.evaluate(() => document.activeElement?.outerHTML.slice(0, 200) + " of " + [...document.querySelectorAll("textarea")].map((t) => t.outerHTML.slice(0, 90)));
  assert.match(focus, /^<textarea id="say"/);
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("2");
  await tabTo("button[value=suggest]");
  await loads(page, () => page.keyboard.press("Enter"));
  const begun = await page.inputValue("#say");
  assert.match(begun, /^```suggestion\none\ntwo\n```/);
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("```suggestion\nONE\n```");
  await tabTo("button[value=keep]");
  await loads(page, () => page.keyboard.press("Enter"));
  await tabTo("figure.suggestion form.apply button");
  await loads(page, () => page.keyboard.press("Enter"));
  assert.equal(await page.locator("figure.suggestion").count(), 0, "what is applied is no suggestion any more");
  assert.match(await page.locator("table.diff").first().innerText(), /ONE/);
  assert.deepEqual(keys.faults, []);

  // Without scripts.
  const bare = await signedIn(browser, server, token, { javaScriptEnabled: false });
  await bare.page.goto(plain);
  const click = (selector) => loads(bare.page, () => bare.page.locator(selector).first().click());
  await click("a.comment");
  await click("button[value=suggest]");
  const text = bare.page.locator("#say");
  assert.match(await text.inputValue(), /^```suggestion\none\n```/);
  await text.fill("```suggestion\nuno\n```");
  await click("button[value=keep]");
  await click("figure.suggestion form.apply button");
  assert.match(await bare.page.locator("table.diff").first().innerText(), /uno/);
  assert.deepEqual(bare.faults, []);

  // Pictures: good ones are shown, hostile ones run and load nothing.
  const seen = await signedIn(browser, server, token);
  const asked = [];
  seen.page.on("request", (request) => asked.push(request.url()));
  seen.page.on("dialog", (dialog) => { asked.push("dialog"); dialog.dismiss(); });
  await seen.page.goto(pictures);
  const images = seen.page.locator(".checker img");
  const count = await images.count();
  for (let n = 0; n < count; n++) await images.nth(n).scrollIntoViewIfNeeded();
  await seen.page.waitForFunction(() => [...document.querySelectorAll(".checker img")].every((image) => image.complete));
  const shown = await images.evaluateAll((all) => all.map((image) => [image.alt.split(": ")[1], image.naturalWidth > 0, image.loading]));
  assert.deepEqual(shown, [["dot.png", true, "lazy"], ["hostile.svg", true, "lazy"]]);
  assert.equal(await seen.page.evaluate(() => globalThis.__pwned), undefined);
  const foreign = asked.filter((url) => !url.startsWith(server));
  assert.deepEqual(foreign, []);
  assert.deepEqual(seen.faults, []);
  // Opened by its address, the hostile one is saved and not shown.
  const address = await images.nth(1).getAttribute("src");
  const [download] = await Promise.all([
    seen.page.waitForEvent("download"),
    seen.page.goto(address).catch(() => {}),
  ]);
  assert.ok(download.url().includes("hostile.svg"));
  // And even shown as a document it can run nothing, since its own policy forbids it.
  const context = await browser.newContext({ baseURL: server });
  await context.addCookies([{ name: "nightshift_session", value: token, url: server, httpOnly: true, sameSite: "Lax" }]);
  await context.route("**/change/picture?**", async (route) => {
    const answer = await route.fetch();
    const headers = { ...answer.headers() };
    delete headers["content-disposition"];
    await route.fulfill({ response: answer, headers });
  });
  const shownAlone = await context.newPage();
  const said = [];
  shownAlone.on("dialog", (dialog) => { said.push(dialog.message()); dialog.dismiss(); });
  const stopped = [];
  shownAlone.on("requestfailed", (request) => stopped.push(`${request.url()} ${request.failure().errorText}`));
  shownAlone.on("requestfinished", (request) => { if (!request.url().startsWith(server)) said.push(request.url()); });
  await shownAlone.goto(address);
  assert.equal(await shownAlone.evaluate(() => globalThis.__pwned), undefined);
  assert.deepEqual(said, []);
  for (const one of stopped) assert.match(one, / csp$/);
});
console.log("suggestions by keys and without scripts; pictures");
