// Charts that one looks into: drawn again of what the table beside them says. Without this file the
// picture of the server stays; whoever does not see either reads the table.

const HEIGHT = 240;
const HOUR = 3600;

for (const place of document.querySelectorAll("[data-zoom]")) {
  const found = read(document.getElementById(place.dataset.zoom));
  // Of two bars there is nothing to look into.
  if (found.times.length > 2) follow(place, found);
}

function read(table) {
  const rows = [...table.tBodies[0].rows];
  const words = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
  return {
    words,
    times: rows.map((row) => Date.parse(row.querySelector("time").dateTime) / 1000),
    counts: words.map((_word, n) => rows.map((row) => Number(row.cells[n + 1].textContent.replace(/\D/g, "")))),
  };
}

function follow(place, { words, times, counts }) {
  const step = times[2] - times[1];
  // The first may have begun before what is asked for; its bar is as wide as the others.
  times[0] = times[1] - step;
  const whole = [times[0] - step / 2, times.at(-1) + step / 2];
  // The server writes the day before the month.
  const language = document.documentElement.lang.replace(/^en$/, "en-GB");
  const when = new Intl.DateTimeFormat(language, {
    timeZone: place.dataset.zone,
    day: "numeric",
    month: "short",
    ...(step <= HOUR && { hour: "2-digit", minute: "2-digit" }),
  });
  const written = (time) => when.format(time * 1000);
  const told = Object.assign(document.createElement("p"), { className: "quiet told" });
  const plot = new uPlot({
    ...looks(place, words.length, step),
    tzDate: (time) => uPlot.tzDate(new Date(time * 1000), place.dataset.zone),
    scales: {
      // Shown as a whole there is room for half a bar at either end.
      x: { range: (_plot, min, max) => (min <= times[0] && max >= times.at(-1) ? whole : [min, max]) },
      y: { range: (_plot, _min, max) => [0, max * 1.05 || 1] },
    },
    axes: axes(place, step, written, language),
    hooks: {
      setCursor: [({ cursor: { idx } }) => {
        told.textContent = idx == null ? "" : `${written(times[idx])}: ${
          words.map((word, n) => `${word} ${counts[n][idx].toLocaleString(language)}`).join(", ")}`;
      }],
    },
  }, [times, ...stacked(counts)], place);
  place.querySelector("svg").remove();
  place.classList.add("drawn");
  plot.root.setAttribute("role", "img");
  plot.root.setAttribute("aria-label", place.dataset.about);
  place.after(buttons(plot, whole, step, written), told);
  new ResizeObserver(() => plot.setSize({ width: inside(place), height: HEIGHT })).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw());
}

// The sums of all, of all but the last, and so on: each stands before the one behind it.
function stacked(counts) {
  return counts.map((_counts, n) => counts[n].map((_count, place) =>
    counts.slice(0, n + 1).reduce((sum, each) => sum + each[place], 0))).reverse();
}

function inside(place) {
  const { paddingLeft, paddingRight } = getComputedStyle(place);
  return place.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
}

// Colours are those that the style sheet gives to elements, light or dark.
function looks(place, many, step) {
  const keys = [...place.parentNode.querySelectorAll(".legend .key")].slice(0, many).reverse();
  return {
    width: inside(place),
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { show: false } },
    series: [{}, ...keys.map((key) => ({
      fill: () => getComputedStyle(key).backgroundColor,
      stroke: () => getComputedStyle(place).backgroundColor,
      width: 1,
      points: { show: false },
      paths: uPlot.paths.bars({ size: [0.8, step] }),
    }))],
  };
}

function axes(place, step, written, language) {
  const both = {
    stroke: () => getComputedStyle(place).color,
    grid: { stroke: () => getComputedStyle(place).borderTopColor, width: 1 },
    ticks: { show: false },
  };
  return [
    { ...both, size: 32, space: step <= HOUR ? 110 : 70, values: (_plot, ticks) => ticks.map(written) },
    { ...both, size: 60, values: (_plot, ticks) => ticks.map((tick) => tick.toLocaleString(language)) },
  ];
}

// What dragging does, for keys and fingers.
function buttons(plot, [first, last], step, written) {
  const group = Object.assign(document.createElement("div"), { className: "zooms" });
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", _("Part of the chart that is shown"));
  const show = (from, to) => {
    const room = Math.min(Math.max(to - from, 3 * step), last - first);
    const min = Math.min(Math.max((from + to - room) / 2, first), last - room);
    plot.setScale("x", { min, max: min + room });
    announce(`${written(min)} – ${written(min + room)}`);
  };
  const moves = [
    [_("Closer"), 0.25, -0.25], [_("Wider"), -0.5, 0.5],
    [_("Earlier"), -0.5, -0.5], [_("Later"), 0.5, 0.5],
    [_("Show all"), -Infinity, Infinity],
  ];
  for (const [word, left, right] of moves) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "small", textContent: word });
    button.addEventListener("click", () => {
      const { min, max } = plot.scales.x;
      const part = max - min;
      if (Number.isFinite(left)) show(min + part * left, max + part * right);
      else show(first, last);
    });
    group.append(button);
  }
  return group;
}
