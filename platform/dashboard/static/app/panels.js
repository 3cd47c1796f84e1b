// What a part of a page says while it is asked for, and when no answer comes: both are the marks
// of the server's own macros, which the layout keeps in templates. A part is what htmx fills.

const SOON = 300;
const waits = new WeakMap();

function begin(part) {
  clearTimeout(waits.get(part));
  waits.set(part, setTimeout(() => {
    part.setAttribute("aria-busy", "true");
    // What somebody asked for is told; what follows by itself is not.
    if (!part.dataset.live) announce(_("Loading…"));
  }, SOON));
}

function end(part) {
  clearTimeout(waits.get(part));
  if (!part.hasAttribute("aria-busy")) return;
  part.removeAttribute("aria-busy");
  if (statusLine()?.textContent === _("Loading…")) announce("");
}

function copyOf(name) {
  return document.getElementById(name).content.cloneNode(true);
}

function unmark(part, marks) {
  part.querySelectorAll(`:scope > :is(${marks})`).forEach((mark) => mark.remove());
}

function markStale(part) {
  if (part.querySelector(":scope > .loading") || part.querySelector(":scope > .stale")) return;
  const note = copyOf("panel-stale");
  const time = document.createElement("time");
  time.dateTime = (shownAt.get(part) || opened).toISOString();
  time.textContent = (shownAt.get(part) || opened).toLocaleTimeString([], { timeStyle: "short" });
  note.querySelector("[data-at]").replaceWith(time);
  part.prepend(note);
}

function markFailed(part, why, request, again) {
  unmark(part, ".failed, .loading");
  const note = copyOf("panel-failed");
  note.querySelector("[data-why]").textContent = why;
  note.querySelector("[data-request]").textContent = request;
  note.querySelector("[data-request]").parentElement.hidden = !request;
  note.querySelector("[data-retry]").addEventListener("click", again);
  part.prepend(note);
}

const opened = new Date();
const shownAt = new WeakMap();

document.addEventListener("htmx:beforeRequest", (event) => begin(event.detail.target));
document.addEventListener("htmx:afterRequest", (event) => {
  const { target, successful } = event.detail;
  end(target);
  if (successful) {
    shownAt.set(target, new Date());
    unmark(target, ".failed, .stale");
  }
});

function fail(event, why) {
  const { target, requestConfig, pathInfo, xhr } = event.detail;
  if (requestConfig?.verb !== "get") return;
  if (xhr?.status === 403) {
    target.replaceChildren(copyOf("panel-forbidden"));
    return;
  }
  markFailed(target, why, xhr?.getResponseHeader("X-Request-Id") || "", () =>
    htmx.ajax("GET", pathInfo.finalRequestPath, { source: event.detail.elt, target, swap: "innerHTML" }));
  markStale(target);
}

document.addEventListener("htmx:sendError", (event) => fail(event, _("There is no connection.")));
document.addEventListener("htmx:timeout", (event) => fail(event, _("The answer takes too long.")));
document.addEventListener("htmx:responseError", (event) =>
  fail(event, _("The server answered %(status)s.", { status: event.detail.xhr.status })));
