// What every browser script needs: the installed library, the system's Chromium, a signed-in page.
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
const require = createRequire(join(process.env.NIGHTSHIFT_BROWSER_DIR || join(cache, "nightshift/browser"), "x.js"));
const { chromium } = require("playwright-core");
export const axePath = require.resolve("axe-core/axe.min.js");

// Without these, Chromium asks its maker's hosts for updates at every start.
const QUIET = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-gpu"];

// Opens a browser for the length of `work`.
export async function withBrowser(work) {
  const args = process.getuid?.() === 0 ? [...QUIET, "--no-sandbox"] : QUIET;
  const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
  const browser = await chromium.launch({ executablePath, args }).catch((error) => {
    throw new Error(`Chromium does not start (${error.message.split("\n")[0]}): install it with \`apt-get install chromium\``);
  });
  try {
    return await work(browser);
  } finally {
    await browser.close();
  }
}

// Does what leads to another page, and waits until that page is there: neither a click nor a key
// waits for it, and what is read before is of the old page.
export async function loads(page, act) {
  const loaded = page.waitForEvent("load");
  await act();
  await loaded;
}

// A context that is signed in, with what it does wrong collected in `faults`.
export async function signedIn(browser, server, token, options = {}) {
  const context = await browser.newContext({ baseURL: server, ...options });
  await context.addCookies([{ name: "nightshift_session", value: token, url: server, httpOnly: true, sameSite: "Lax" }]);
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(`script error: ${error.message}`));
  page.on("response", (answer) => { if (answer.status() >= 400) faults.push(`${answer.status()} for ${answer.url()}`); });
  page.on("console", (message) => {
    const reported = message.text().startsWith("Failed to load resource"); // with its address, above
    if (message.type() === "error" && !reported) faults.push(`console: ${message.text()}`);
  });
  return { context, page, faults };
}
