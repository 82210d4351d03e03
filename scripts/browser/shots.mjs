// Takes a picture of every page, light and dark, wide and narrow.
// Wants a font with Chinese characters, such as the package fonts-noto-cjk.
// usage: node shots.mjs SERVER TOKEN DIR [PATH …]
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { signedIn, withBrowser } from "./browser.mjs";

const [server, token, dir, ...given] = process.argv.slice(2);
mkdirSync(dir, { recursive: true });
const paths = given.length ? given : ["/", "/board", "/runs", "/projects", "/server", "/account"];
const looks = {
  light: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", isMobile: true, hasTouch: true },
  chinese: { viewport: { width: 1280, height: 900 }, colorScheme: "light", locale: "zh-TW" },
};
await withBrowser(async (browser) => {
  for (const [look, options] of Object.entries(looks)) {
    const { context, page } = await signedIn(browser, server, token, options);
    for (const path of paths) {
      await page.goto(path, { waitUntil: "load" });
      const name = `${path.replaceAll(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "") || "desk"}-${look}.png`;
      await page.screenshot({ path: join(dir, name), fullPage: look !== "phone" });
      console.log(name);
    }
    await context.close();
  }
});
