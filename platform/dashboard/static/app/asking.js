// What pages do beyond plain links and forms. Everything works without it, if less smoothly.
"use strict";

// Texts are English here. A file for another language ends with what these are in it.
let texts = {};
const _ = (text, values = {}) => (texts[text] || text).replace(/%\((\w+)\)s/g, (place, name) => values[name]);

const statusLine = () => document.getElementById("status");

function announce(text) {
  const line = statusLine();
  if (line) line.textContent = text;
}

// A form of htmx carries the same proof as a plain one.
document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = document.body.dataset.csrf || "";
});

document.addEventListener("htmx:sendError", () => announce(_("There is no connection. Nothing was changed.")));
document.addEventListener("htmx:timeout", () => announce(_("The answer takes too long. Load the page again.")));
document.addEventListener("htmx:responseError", (event) =>
  announce(_("The server refused this (%(status)s). Load the page again.", { status: event.detail.xhr.status })));

document.addEventListener("htmx:beforeSwap", (event) => keepPlace(event.detail.target));
document.addEventListener("htmx:afterSwap", (event) => {
  findPlace(event.detail.target);
  settle(event.detail.target);
});

// What is opened or scrolled in a part of the page stays so when the part is shown anew.
const places = new WeakMap();

function keepPlace(part) {
  places.set(part, {
    open: new Set([...part.querySelectorAll("details[open][data-key]")].map((d) => d.dataset.key)),
    left: [...part.querySelectorAll(".scroll")].map((s) => s.scrollLeft),
  });
}

function findPlace(part) {
  const place = places.get(part);
  if (!place) return;
  for (const each of part.querySelectorAll("details[data-key]")) {
    each.open = place.open.has(each.dataset.key) || each.open;
  }
  [...part.querySelectorAll(".scroll")].forEach((s, n) => { s.scrollLeft = place.left[n] || 0; });
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    announce(_("Copied."));
  } catch {
    announce(_("The browser does not let this page copy. Select the text instead."));
  }
});

// What cannot be taken back is asked first, in one dialog for all forms.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.confirm || form.dataset.confirmed) return;
  event.preventDefault();
  ask(form.dataset.confirm).then((yes) => {
    if (!yes) return;
    form.dataset.confirmed = "yes";
    form.requestSubmit();
  });
});

function ask(question) {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "question");
  const text = document.createElement("p");
  text.id = "question";
  text.textContent = question;
  const choices = document.createElement("form");
  choices.method = "dialog";
  for (const [value, word] of [["no", _("Leave it")], ["yes", _("Yes, do it")]]) {
    const button = document.createElement("button");
    button.type = "submit";
    button.value = value;
    button.textContent = word;
    if (value === "no") button.autofocus = true;
    else button.className = "main";
    choices.append(button);
  }
  dialog.append(text, choices);
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    dialog.showModal();
  });
}

function settle(root) {
  for (const field of root.querySelectorAll("[data-timezone]")) {
    field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  }
  const trouble = root.querySelector("[data-focus]");
  if (trouble) trouble.focus();
}

settle(document);
// Not by scrollIntoView, from where the next Tab would go on.
const here = document.querySelector(".side [aria-current]");
const side = here?.closest(".side");
if (side) side.scrollLeft += here.getBoundingClientRect().left - (side.clientWidth - here.offsetWidth) / 2;
