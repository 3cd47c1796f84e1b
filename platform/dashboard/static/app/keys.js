// Keys: Ctrl or Cmd with K opens the palette. Single keys do what the help of "?" says, never
// while somebody types, and not at all for who switched them off.

let went = 0;

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
    if (openPalette()) event.preventDefault();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.body.dataset.keys === "off") return;
  const target = event.composedPath()[0];
  if (target.closest?.("input, textarea, select, [contenteditable], dialog")) return;
  if (pressed(event.key)) event.preventDefault();
});

function pressed(key) {
  const goes = Date.now() - went < 1500;
  went = 0;
  if (goes) {
    const link = document.querySelector(`.side [data-key="${CSS.escape(key)}"]`);
    if (link) link.click();
    return Boolean(link);
  }
  if (key === "g") went = Date.now();
  else if (key === "/") return focusOn(document.querySelector("[data-search]"));
  else if (key === "?") showKeys();
  else if (key === "j" || key === "k") return step(key === "j" ? 1 : -1);
  else return false;
  return true;
}

function focusOn(element) {
  if (element) element.focus();
  return Boolean(element);
}

function step(by) {
  const links = [...document.querySelectorAll("main tbody tr")]
    .map((row) => row.querySelector("a")).filter(Boolean);
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by;
  return focusOn(links[Math.min(Math.max(next, 0), links.length - 1)]);
}

function openPalette() {
  const palette = document.getElementById("palette");
  if (!palette) return false;
  if (!palette.open) {
    palette.showModal();
    const field = palette.querySelector("input");
    field.value = "";
    htmx.trigger(field, "begin");
    field.focus();
  }
  return true;
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-palette]") && openPalette()) event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  const palette = event.target.closest?.("#palette");
  if (!palette || !["ArrowDown", "ArrowUp", "Enter"].includes(event.key)) return;
  const links = [...palette.querySelectorAll("#jump a")];
  const at = links.indexOf(document.activeElement);
  if (event.key === "Enter") {
    if (at >= 0 || !links.length) return;
    event.preventDefault();
    links[0].click();
    return;
  }
  event.preventDefault();
  const next = at + (event.key === "ArrowDown" ? 1 : -1);
  focusOn(next < 0 ? palette.querySelector("input") : links[Math.min(next, links.length - 1)]);
});

function showKeys() {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "keys-title");
  const title = document.createElement("h2");
  title.id = "keys-title";
  title.textContent = _("Keys");
  const list = document.createElement("dl");
  list.className = "keys";
  const pages = [...document.querySelectorAll(".side [data-key]")];
  const rows = [
    ["Ctrl K", _("Go to a page, a domain or a message")], ["/", _("Find on this page")],
    ["j", _("Next row of a list")], ["k", _("Row before")], ["?", _("These keys")],
    ...pages.map((link) => [`g ${link.dataset.key}`, link.textContent.trim()]),
  ];
  for (const [key, word] of rows) {
    const term = document.createElement("dt");
    term.append(Object.assign(document.createElement("kbd"), { textContent: key }));
    list.append(term, Object.assign(document.createElement("dd"), { textContent: word }));
  }
  const close = document.createElement("form");
  close.method = "dialog";
  const button = Object.assign(document.createElement("button"), { type: "submit", textContent: _("Close") });
  close.append(button);
  dialog.append(title, list, close);
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}
