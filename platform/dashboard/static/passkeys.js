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

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.passkey || form.elements.credential.value) return;
  event.preventDefault();
  const told = form.querySelector("[role=status]");
  told.textContent = "";
  try {
    const found = await asks[form.dataset.passkey](JSON.parse(form.dataset.options));
    form.elements.credential.value = JSON.stringify(found);
    form.submit();
  } catch (fault) {
    told.textContent = fault.name === "InvalidStateError"
      ? _("This device has a passkey of yours already.")
      : _("No passkey was used. Try again, or go another way.");
  }
});

// Where a browser knows no passkeys, nothing is offered.
for (const part of document.querySelectorAll("[data-needs-passkeys]")) part.hidden = !canAsk();
