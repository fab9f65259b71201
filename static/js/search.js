// Makes searching quicker. Everything here also works without it: forms are sent, links lead on.

// Choosing, dropping or pasting a picture sends it --------------------------------------------------------------

const ask = document.querySelector("[data-ask]");
const pictures = ask?.querySelector("input[type=file]");

function send(file) {
  const chosen = new DataTransfer();
  chosen.items.add(file);
  pictures.files = chosen.files;
  ask.requestSubmit();
}

function carriesFiles(event) {
  return event.dataTransfer?.types.includes("Files");
}

if (ask) {
  const label = ask.querySelector("[data-label]");
  const status = ask.querySelector("[data-status]");
  const veil = document.querySelector("[data-drop]");
  const words = [...label.childNodes];

  pictures.addEventListener("change", () => pictures.files.length && ask.requestSubmit());
  ask.addEventListener("submit", (event) => {
    if (ask.ariaBusy === "true") event.preventDefault();
    ask.ariaBusy = "true";
    label.textContent = status.textContent = label.dataset.busy;
  });
  // The browser may bring this very page back: it is no longer looking then, and the same file may be chosen again.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    ask.ariaBusy = "false";
    ask.reset();
    label.replaceChildren(...words);
    status.textContent = "";
  });

  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) veil.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    veil.hidden = true;
    if (event.dataTransfer.files.length) send(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) send(event.clipboardData.files[0]);
  });
}

// Shaping a search changes what was found in its place ----------------------------------------------------------

const form = document.querySelector("[data-refine]");

function address() {
  const parameters = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== "") parameters.append(name, value);
  return `${form.getAttribute("action")}?${parameters}`;
}

let latest;

async function fetchFound(url) {
  latest?.abort();
  const asked = (latest = new AbortController());
  const response = await fetch(url, { signal: asked.signal });
  if (!response.ok) throw new Error(`${response.status}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return document.importNode(page.querySelector("[data-found]"), true);
}

async function refine() {
  const url = address();
  document.querySelector("[data-found]").ariaBusy = "true";
  try {
    const found = await fetchFound(url);
    document.querySelector("[data-found]").replaceWith(found);
    history.pushState({ refined: true }, "", url);
  } catch (error) {
    if (error.name !== "AbortError") location.assign(url); // the page itself says what is wrong
  }
}

async function showMore(link) {
  const section = link.closest("[data-found]");
  section.ariaBusy = "true";
  try {
    const found = await fetchFound(link.href);
    const added = [...found.querySelectorAll("[data-grid] > li")];
    section.querySelector("[data-grid]").append(...added);
    const next = found.querySelector("[data-more]");
    if (next) link.href = next.href;
    else link.parentElement.remove();
    section.ariaBusy = "false";
    added[0]?.querySelector("a").focus({ preventScroll: true });
  } catch (error) {
    if (error.name !== "AbortError") location.assign(link.href);
  }
}

if (form) {
  let timer;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(refine, 250); // arrow keys move a slider in many small steps
  };
  form.addEventListener("change", soon);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    refine();
  });
  window.addEventListener("popstate", () => location.reload());
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-more]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    showMore(link);
  });
  drawBoxes(soon);
}

// Drawing a box over the picture fills in its edges -------------------------------------------------------------

function drawBoxes(changed) {
  const picture = form.querySelector("[data-crop]");
  const outline = picture.querySelector("rect");
  const edges = [...form.querySelectorAll("[data-edges] input")];
  const least = 0.04; // of a side: less was a click, which takes the box away
  let start;

  const fraction = (event) => {
    const frame = picture.getBoundingClientRect();
    const within = (value) => Math.min(1, Math.max(0, value));
    return [within((event.clientX - frame.left) / frame.width), within((event.clientY - frame.top) / frame.height)];
  };
  const box = (end) => [
    Math.min(start[0], end[0]),
    Math.min(start[1], end[1]),
    Math.max(start[0], end[0]),
    Math.max(start[1], end[1]),
  ];
  const show = ([left, top, right, bottom]) => {
    const sides = { x: left, y: top, width: right - left, height: bottom - top };
    for (const [name, value] of Object.entries(sides)) outline.setAttribute(name, value);
  };
  const typed = () => {
    const values = edges.map((edge) => edge.valueAsNumber);
    return values.every(Number.isFinite) ? values : [0, 0, 0, 0];
  };

  picture.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    start = fraction(event);
    picture.setPointerCapture(event.pointerId);
  });
  picture.addEventListener("pointermove", (event) => start && show(box(fraction(event))));
  picture.addEventListener("pointerup", (event) => {
    if (!start) return;
    const drawn = box(fraction(event));
    start = undefined;
    const taken = drawn[2] - drawn[0] < least || drawn[3] - drawn[1] < least;
    edges.forEach((edge, at) => (edge.value = taken ? "" : drawn[at].toFixed(3)));
    show(typed());
    changed();
  });
  picture.addEventListener("pointercancel", () => {
    start = undefined;
    show(typed());
  });
  form.addEventListener("change", () => show(typed()));
}
