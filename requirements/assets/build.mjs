// Makes the files of platform/dashboard/static that are not ours, from locked packages.
//
//     npm ci --prefix requirements/assets --ignore-scripts
//     node requirements/assets/build.mjs           writes them, and assets.lock
//     node requirements/assets/build.mjs --check   says whether they are what would be written
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "../../platform/dashboard/static");
const locked = JSON.parse(readFileSync(join(here, "package-lock.json"), "utf8")).packages;
const read = (...path) => readFileSync(join(here, "node_modules", ...path), "utf8");

function source(name) {
  const { version, integrity, license } = locked[`node_modules/${name}`];
  return { name, version, integrity, license };
}

function icons() {
  const names = readFileSync(join(here, "icons.txt"), "utf8").split("\n").filter(Boolean).sort();
  const symbols = names.map((name) => {
    const svg = read("lucide-static", "icons", `${name}.svg`);
    const inside = /<svg[^>]*>([^]*)<\/svg>/.exec(svg)[1].replace(/\s*\n\s*/g, "");
    return `<symbol id="${name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" `
      + `stroke-width="2" stroke-linecap="round" stroke-linejoin="round">${inside}</symbol>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`;
}

async function explorer() {
  const made = await build({
    entryPoints: [join(here, "explorer", "editor.js")],
    bundle: true,
    minify: true,
    format: "iife",
    globalName: "PostlaneEditor",
    target: "es2022",
    mainFields: ["module", "main"],
    // Two copies of graphql would each take the other's schema for a stranger's.
    alias: { graphql: join(here, "node_modules/graphql/index.mjs") },
    define: { "process.env.NODE_ENV": '"production"' },
    legalComments: "none",
    metafile: true,
    write: false,
  });
  const used = Object.keys(made.metafile.inputs)
    .map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1])
    .filter(Boolean);
  return { text: made.outputFiles[0].text, from: [...new Set(used)].sort() };
}

const bundle = await explorer();
const files = {
  "editor.min.js": bundle,
  "htmx.min.js": { text: read("htmx.org", "dist", "htmx.min.js"), from: ["htmx.org"] },
  "icons.svg": { text: icons(), from: ["lucide-static"] },
  "uplot.min.css": { text: read("uplot", "dist", "uPlot.min.css"), from: ["uplot"] },
  "uplot.min.js": { text: read("uplot", "dist", "uPlot.iife.min.js"), from: ["uplot"] },
};
const lock = {};
for (const [name, { text, from }] of Object.entries(files)) {
  lock[name] = {
    sha384: createHash("sha384").update(text).digest("base64"),
    from: from.map(source),
  };
}
const rows = Object.entries(lock).flatMap(([file, { from }]) => from.map(
  (each) => `| \`${file}\` | \`${each.name}\` | ${each.version} | ${each.license} |`));
files["LICENCES.md"] = { text: `# What in this folder is not ours

Made from the packages below by \`requirements/assets/build.mjs\`, which holds them by their
hashes; \`requirements/assets/assets.lock\` holds the hash of each file. Some icons of Lucide are
MIT, by Cole Bemis.

| File | Package of npm | Version | Licence |
|---|---|---|---|
${rows.join("\n")}
` };
files["../../../requirements/assets/assets.lock"] = { text: `${JSON.stringify(lock, null, 2)}\n` };

let differs = false;
for (const [name, { text }] of Object.entries(files)) {
  const path = join(target, name);
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text) {
    console.error(`${name} is not what the locked packages make`);
    differs = true;
  }
}
process.exit(differs ? 1 : 0);
