// Parts of a page that name a topic in data-live fetch themselves when it changes. There is one
// stream for the page while it is visible, and a part asks no more than once a second.

const OFTEN = 1000;
const AGAIN = 2000;
const STEADY = 10000;
const live = { source: null, losses: 0, isPaused: false, steady: 0, again: 0 };
const asked = new WeakMap();

function liveParts() {
  return [...document.querySelectorAll("[data-live]")];
}

function followLive() {
  leaveLive();
  const topics = [...new Set(liveParts().map((part) => part.dataset.live))];
  if (!document.body.dataset.liveAt || !topics.length || document.hidden || live.isPaused) return;
  const query = new URLSearchParams({ topics: topics.join(",") });
  const source = new EventSource(`${document.body.dataset.liveAt}?${query}`);
  live.source = source;
  source.addEventListener("open", () => {
    // What happened between the page and the stream was told to nobody.
    liveParts().forEach(refresh);
    live.steady = setTimeout(() => { live.losses = 0; }, STEADY);
  });
  source.addEventListener("next", (event) => {
    const names = new Set(JSON.parse(event.data).topics || []);
    liveParts().filter((part) => names.has(part.dataset.live)).forEach(refresh);
  });
  source.addEventListener("complete", loseLive);
  source.addEventListener("error", loseLive);
}

function leaveLive() {
  if (live.source) live.source.close();
  live.source = null;
  clearTimeout(live.steady);
  clearTimeout(live.again);
}

function loseLive() {
  leaveLive();
  live.losses += 1;
  if (live.losses < 2) live.again = setTimeout(followLive, AGAIN);
  else pauseLive();
}

function pauseLive() {
  leaveLive();
  live.isPaused = true;
  liveParts().forEach(markStale);
  const notice = document.getElementById("paused");
  if (notice) notice.hidden = false;
  announce(_("Live updates paused."));
}

function resumeLive() {
  live.losses = 0;
  live.isPaused = false;
  document.getElementById("paused").hidden = true;
  followLive();
}

function refresh(part) {
  const state = asked.get(part) || { at: -OFTEN, timer: 0 };
  asked.set(part, state);
  if (state.timer) return;
  const ask = () => {
    state.timer = 0;
    if (!part.isConnected || document.hidden) return;
    if (isBusy(part)) {
      state.timer = setTimeout(ask, OFTEN);
      return;
    }
    state.at = performance.now();
    htmx.trigger(part, "live");
  };
  state.timer = setTimeout(ask, Math.max(0, state.at + OFTEN - performance.now()));
}

// Whoever is about to press a button, answers a question or marks a text is not disturbed.
function isBusy(part) {
  const marked = getSelection();
  return Boolean(document.querySelector("dialog[open]"))
    || (part.contains(document.activeElement)
      && document.activeElement.matches("a, button, input, select, textarea, summary"))
    || (!marked.isCollapsed && part.contains(marked.anchorNode));
}

for (const name of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
  document.addEventListener(name, (event) => {
    if (event.target.dataset && event.target.dataset.live) pauseLive();
  });
}
document.addEventListener("htmx:afterSettle", () => {
  const topics = new Set(liveParts().map((part) => part.dataset.live));
  const followed = live.source && new URL(live.source.url).searchParams.get("topics");
  if (live.source && [...topics].join(",") !== followed) followLive();
});
document.addEventListener("click", (event) => {
  if (event.target.closest("#paused button")) resumeLive();
});
document.addEventListener("visibilitychange", () => (document.hidden ? leaveLive() : followLive()));
addEventListener("pagehide", leaveLive);
addEventListener("pageshow", followLive);
