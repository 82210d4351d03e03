// The settings of a project changed by keys alone, with scripts and without.
// usage: node settings.mjs SERVER TOKEN PROJECT
// Prints the keystrokes; exits non-zero when anything is not as it should be.
import assert from "node:assert/strict";
import { loads, signedIn, withBrowser } from "./browser.mjs";

const [server, token, project] = process.argv.slice(2);
const address = `/p/${project}/settings`;
let keys = 0;

await withBrowser(async (browser) => {
  for (const javaScriptEnabled of [true, false]) {
    const { context, page, faults } = await signedIn(browser, server, token, { javaScriptEnabled });
    const press = async (key) => { keys += 1; await page.keyboard.press(key); };
    const type = async (text) => { keys += text.length; await page.keyboard.type(text); };
    // Without a page's scripts the focus is read from outside of it.
    const focused = async () => page.locator(":focus").evaluate((one) => one.id || one.value || "");
    const tabTo = async (wanted) => {
      for (let count = 0; count < 120; count += 1) {
        if ((await page.locator(":focus").count()) && (await focused()) === wanted) return;
        await press("Tab");
      }
      assert.fail(`the Tab key never comes to ${wanted}`);
    };
    const load = (key) => loads(page, () => press(key));
    const said = (id) => page.locator(`#${id}-wrong`).innerText();
    const name = javaScriptEnabled ? "with" : "without";

    await page.goto(address);
    // One more check. The button brings its row, and the first field has the focus.
    await tabTo("check-add");
    await load("Enter");
    const row = (await page.locator("#check-title ~ fieldset.row").count()) - 1;
    assert.equal(await focused(), `check-${row}-name`, "the new row has the focus");
    await type(name);
    await press("Tab");
    await type("make lint");
    await press("Tab");
    await type("soon");
    // Enter in a field saves: nothing but the mistake beside its field comes of it.
    const answered = page.waitForResponse((answer) => answer.request().method() === "POST");
    await load("Enter");
    assert.equal((await answered).status(), 422);
    assert.match(await said(`check-${row}-timeout`), /write it as/);
    assert.equal(await page.locator(`#check-${row}-run`).inputValue(), "make lint", "nothing typed is lost");
    assert.equal(await page.locator(`#check-${row}-timeout`).getAttribute("aria-invalid"), "true");

    // An agent: the fields of its harness come into view as it is chosen.
    await tabTo("agent-add");
    await load("Enter");
    await type(`agent-${name}`);
    await press("Tab");
    const agent = (await focused()).split("-")[1];
    assert.equal(await page.locator(`#agent-${agent}-command`).isVisible(), false, "no harness, no command");
    await type("comm");
    await page.locator(`#agent-${agent}-command`).waitFor({ state: "visible" });
    await tabTo(`agent-${agent}-command`);
    await type("own {prompt}");

    // The mistake is put right, what will change is looked at, and it is saved.
    await page.locator(`#check-${row}-timeout`).focus();
    await press("Control+a");
    await type("5m");
    await tabTo("preview");
    await load("Enter");
    const preview = await page.locator("#preview").innerText();
    assert.match(preview, new RegExp(`\\+name = "${name}"`));
    await tabTo("save");
    await load("Enter");
    assert.match(new URL(page.url()).search, /saved=[0-9a-f]{40}/);
    assert.match(await page.locator("section.notice").innerText(), /command = "own \{prompt\}"/);
    const rows = await page.locator("#check-title ~ fieldset.row").count();
    assert.equal(rows, row + 1, "the check is saved");
    const odd = faults.filter((fault) => !fault.startsWith("422 for"));
    assert.deepEqual(odd, [], "nothing else went wrong");
    await context.close();
  }
});
console.log(`settings by ${keys} keystrokes, with scripts and without`);
