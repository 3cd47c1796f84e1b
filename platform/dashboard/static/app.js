// What pages do beyond plain links and forms. Everything works without it, if less smoothly.
"use strict";

const statusLine = () => document.getElementById("status");

function announce(text) {
  const line = statusLine();
  if (line) line.textContent = text;
}

// A form of htmx carries the same proof as a plain one.
document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = document.body.dataset.csrf || "";
});

document.addEventListener("htmx:sendError", () => announce("There is no connection. Nothing was changed."));
document.addEventListener("htmx:timeout", () => announce("The answer takes too long. Load the page again."));
document.addEventListener("htmx:responseError", (event) =>
  announce(`The server refused this (${event.detail.xhr.status}). Load the page again.`));

document.addEventListener("htmx:afterSwap", (event) => settle(event.detail.target));

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    announce("Copied.");
  } catch {
    announce("The browser does not let this page copy. Select the text instead.");
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
  for (const [value, word] of [["no", "Leave it"], ["yes", "Yes, do it"]]) {
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

// "/" goes to the search of the page, unless somebody types.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const search = document.querySelector("[data-search]");
  if (search) {
    event.preventDefault();
    search.focus();
  }
});

function settle(root) {
  for (const field of root.querySelectorAll("[data-timezone]")) {
    field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  }
  const trouble = root.querySelector("[data-focus]");
  if (trouble) trouble.focus();
}

settle(document);
