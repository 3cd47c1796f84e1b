// Forms that a passkey answers: the device is asked when the form is sent, and its answer goes with it.
"use strict";

const asks = {
  get: (options) => navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
  }),
  create: (options) => navigator.credentials.create({
    publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
  }),
};

function canAsk() {
  return typeof PublicKeyCredential === "function"
    && typeof PublicKeyCredential.parseRequestOptionsFromJSON === "function";
}

// Forms whose device is asked, or whose answer is on its way: a second one would be refused, or
// would take the place of the page that the first one leads to.
let waitingForms = new WeakSet();

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.passkey) return;
  event.preventDefault();
  if (waitingForms.has(form)) return;
  waitingForms.add(form);
  const told = form.querySelector("[role=status]");
  told.textContent = "";
  try {
    const found = await asks[form.dataset.passkey](JSON.parse(form.dataset.options));
    form.elements.credential.value = JSON.stringify(found);
    form.submit();
  } catch (fault) {
    waitingForms.delete(form);
    told.textContent = fault.name === "InvalidStateError"
      ? _("This device has a passkey of yours already.")
      : _("No passkey was used. Try again, or go another way.");
  }
});

// Whoever comes back to a page, by the browser's own way, is asked anew there.
addEventListener("pageshow", () => { waitingForms = new WeakSet(); });

// Where a browser knows no passkeys, nothing is offered.
for (const part of document.querySelectorAll("[data-needs-passkeys]")) {
  part.hidden = !canAsk();
  // While it was hidden it could have no focus.
  part.querySelector("[autofocus]")?.focus();
}
