// The API explorer: runs a document as whoever is signed in, and keeps what was run on this device.
const explorer = document.getElementById("explorer");
const box = (id) => document.getElementById(id);
const MOST_KEPT = 20;
let text = box("document").dataset.text;
let editor = null;

const said = (sentence) => { box("told").textContent = sentence; };

function kept() {
  try {
    return JSON.parse(localStorage.getItem(explorer.dataset.kept)) || [];
  } catch {
    return [];
  }
}

function keep(entry) {
  const others = kept().filter((each) => each.query !== entry.query || each.variables !== entry.variables);
  try {
    localStorage.setItem(explorer.dataset.kept, JSON.stringify([entry, ...others].slice(0, MOST_KEPT)));
  } catch {
    // A device that keeps nothing still runs documents.
  }
  listKept();
}

function listKept() {
  box("history").replaceChildren(new Option(_("Run before…"), ""), ...kept().map((each, place) =>
    new Option(each.query.replace(/#.*$/gm, "").replace(/\s+/g, " ").trim().slice(0, 60), String(place))));
}

function asked() {
  let variables;
  try {
    variables = JSON.parse(box("variables").value || "{}");
  } catch (error) {
    said(_("The variables are no JSON: %(why)s", { why: error.message }));
    box("variables").setAttribute("aria-invalid", "true");
    return null;
  }
  box("variables").removeAttribute("aria-invalid");
  return { query: text, variables };
}

async function run() {
  const body = asked();
  if (!body) return;
  const kind = PostlaneEditor.kindOf(text);
  if (kind === "mutation" && !box("changes").checked) {
    said(_("This changes things. Tick “Let it change things” if it should."));
    return;
  }
  if (kind === "subscription") {
    said(_("A subscription goes on for ever; follow it with one of the clients in the documentation."));
    return;
  }
  box("run").disabled = true;
  said(_("Asking…"));
  const began = performance.now();
  try {
    const answer = await fetch(explorer.dataset.url, {
      method: "POST",
      headers: {
        Accept: "application/json",
        "Content-Type": "application/json",
        "X-CSRF-Token": document.body.dataset.csrf,
      },
      body: JSON.stringify(body),
    });
    const took = Math.round(performance.now() - began);
    if (!(answer.headers.get("content-type") || "").includes("json")) {
      said(_("The server refused this (%(status)s). Load the page again.", { status: answer.status }));
      return;
    }
    const found = await answer.json();
    box("answer").textContent = JSON.stringify(found, null, 2);
    const cost = found.extensions && found.extensions.cost;
    said([
      found.errors ? _("Errors: %(count)s.", { count: found.errors.length }) : "",
      _("Time: %(took)s ms.", { took }),
      cost ? _("Cost: %(cost)s.", { cost: cost.requested }) : "",
    ].filter(Boolean).join(" "));
    keep({ query: text, variables: box("variables").value });
  } catch {
    said(_("There is no connection. Try again."));
  } finally {
    box("run").disabled = false;
  }
}

const quoted = (value) => `'${value.replaceAll("'", "'\\''")}'`;

async function copyAsCurl() {
  const body = asked();
  if (!body) return;
  const command = `curl -sS ${quoted(explorer.dataset.public)} \\\n`
    + "  -H \"Authorization: Bearer $POSTLANE_KEY\" \\\n"
    + "  -H \"Content-Type: application/json\" \\\n"
    + `  -d ${quoted(JSON.stringify(body))}`;
  try {
    await navigator.clipboard.writeText(command);
    said(_("Copied. The key comes from the environment, as POSTLANE_KEY."));
  } catch {
    box("answer").textContent = command;
    said(_("The browser does not let this page copy. Here it is instead."));
  }
}

async function begin() {
  explorer.hidden = false;
  listKept();
  let introspection = null;
  try {
    introspection = await (await fetch(explorer.dataset.schema)).json();
  } catch {
    said(_("The schema could not be loaded, so nothing is completed."));
  }
  editor = PostlaneEditor.edit(box("document"), {
    text, label: _("Document"), introspection, run, change: (changed) => { text = changed; },
  });
}

box("run").addEventListener("click", run);
box("curl").addEventListener("click", copyAsCurl);
box("variables").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
});
box("history").addEventListener("change", (event) => {
  const entry = kept()[Number(event.target.value)];
  if (event.target.value === "" || !entry) return;
  editor.set(entry.query);
  box("variables").value = entry.variables;
  event.target.value = "";
});
begin();
