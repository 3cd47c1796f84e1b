// Judges pages as Lighthouse does on a phone, in the Chromium at CHROME_PATH, and prints a line of
// JSON for each: its path, what it scores of 100 in each category, and what lost it points.
//
//     node judge.mjs https://host.example 'session=...' /login /o/acme ...
import { launch } from "chrome-launcher";
import lighthouse from "lighthouse";

// Lighthouse takes the machine for a fast desktop and slows it down by four, to be like a phone.
// What is slower already, or busy with other things, is slowed down by so much less.
const FAST_DESKTOP = 1500;
const SLOWDOWN = 4;

const [origin, cookie, ...paths] = process.argv.slice(2);
const flags = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"];
const chrome = await launch({ chromeFlags: flags, logLevel: "silent" });
let speed = FAST_DESKTOP;

async function judge(path, options) {
  const slowdown = SLOWDOWN * Math.min(1, speed / FAST_DESKTOP);
  const { lhr } = await lighthouse(origin + path, {
    port: chrome.port,
    logLevel: "error",
    disableFullPageScreenshot: true,
    extraHeaders: cookie ? { Cookie: cookie } : {},
    maxWaitForLoad: 15_000,
    throttling: {
      rttMs: 150, throughputKbps: 1638.4, requestLatencyMs: 562.5,
      downloadThroughputKbps: 1474.56, uploadThroughputKbps: 675,
      cpuSlowdownMultiplier: Math.max(1, slowdown),
    },
    ...options,
  });
  speed = lhr.environment.benchmarkIndex;
  return lhr;
}

try {
  await judge(paths[0], { onlyAudits: ["doctype"] });
  for (const path of paths) {
    const lhr = await judge(path, {
      onlyCategories: ["performance", "accessibility", "best-practices"],
    });
    const scores = {};
    const lost = [];
    for (const [name, { score, auditRefs }] of Object.entries(lhr.categories)) {
      scores[name] = Math.round(score * 100);
      for (const { id, weight } of auditRefs) {
        const audit = lhr.audits[id];
        if (weight && audit.score !== null && audit.score < 1) {
          lost.push(`${id}: ${audit.displayValue ?? audit.title}`);
        }
      }
    }
    const error = lhr.runtimeError?.message ?? null;
    console.log(JSON.stringify({ path, scores, lost, speed: Math.round(speed), error }));
  }
} finally {
  chrome.kill();
}
