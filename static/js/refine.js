// Shapes a search in its place. Every state has its own address: Back, reload and sharing work, and without this
// module the form is sent and the links lead on.

const part = (name, within = document) => within.querySelector(`[data-${name}]`);
const parser = new DOMParser();
const place = () => location.pathname + location.search;
let latest; // the request under way
let timer; // of one that is about to be made
let shown = place(); // what the page shows

async function fetched(url) {
  latest?.abort();
  latest = new AbortController();
  const response = await fetch(url, { signal: latest.signal, headers: { "X-Part": "found" } });
  if (!response.ok) throw new Error(`${response.status}`);
  return part("search", parser.parseFromString(await response.text(), "text/html"));
}

// Show what an address holds; where that fails, go there: the page itself says what is wrong. What is typed and drawn
// is newer than the answer, unless the address came from elsewhere than the form.
async function follow(url, { fromForm = false, push = true } = {}) {
  clearTimeout(timer);
  part("found").ariaBusy = "true";
  try {
    const state = await fetched(url);
    if (!fromForm) setForm(state.dataset);
    show(state);
    if (push) history.pushState(null, "", url);
    shown = place();
    return true;
  } catch (error) {
    if (error.name !== "AbortError") location.assign(url);
    return false;
  }
}

function setForm({ weight, box }) {
  document.querySelector("#colour_weight").value = weight;
  const edges = box.split(",");
  [...part("asked").querySelectorAll("input")].forEach((input, at) => (input.value = edges[at] ?? ""));
  part("asked").querySelector("crop-box").read?.();
}

function show(state) {
  const facets = part("facets");
  const focused = facets.contains(document.activeElement) && selector(document.activeElement);
  const open = [...document.querySelectorAll("[data-facet]:has(details[open])")].map((facet) => facet.dataset.facet);
  const scrolled = facets.scrollTop;
  for (const name of ["wishes", "facets"]) part(name).replaceChildren(...imported(part(name, state).childNodes));
  part("found").replaceWith(...imported([part("found", state)]));
  for (const facet of open) document.querySelector(`[data-facet="${facet}"] details`)?.setAttribute("open", "");
  facets.scrollTop = scrolled;
  if (focused) facets.querySelector(focused)?.focus({ preventScroll: true });
}

const imported = (nodes) => [...nodes].map((node) => document.importNode(node, true));

function selector({ name, value, type }) {
  return type === "checkbox" ? `[name="${name}"][value="${CSS.escape(value)}"]` : `[name="${name}"]`;
}

// As the server writes it: without what is empty or as it is by default, a box in one parameter.
function address(form, without = "") {
  const parameters = new URLSearchParams();
  const edges = [];
  for (const [name, value] of new FormData(form)) {
    if (name === without) continue;
    if (name === "box") edges.push(value && Number(value));
    else if (value !== "" && value !== form.elements[name].dataset?.default) parameters.append(name, value);
  }
  if (edges.some((edge) => edge !== "")) parameters.append("box", edges.join());
  const query = parameters.toString();
  return form.getAttribute("action") + (query && `?${query}`);
}

async function showMore(link) {
  const grid = part("grid");
  const count = grid.children.length;
  const section = part("found");
  if (section.ariaBusy === "true") return; // pressed twice
  section.ariaBusy = "true";
  const coming = [...grid.children].slice(-4).map((card) => {
    const empty = card.cloneNode(false);
    empty.removeAttribute("id");
    empty.classList.add("card--coming");
    empty.append(Object.assign(document.createElement("span"), { className: "tile" }));
    return empty;
  });
  grid.append(...coming);
  try {
    const state = await fetched(link.href);
    const added = imported([...part("grid", state).children].slice(count));
    grid.querySelector(".card--coming")?.before(...added);
    history.replaceState(null, "", link.href.split("#")[0]);
    shown = place();
    const next = state.querySelector(".more");
    if (next) link.parentElement.replaceWith(...imported([next]));
    else link.parentElement.remove();
    section.ariaBusy = "false";
    added[0]?.querySelector("a").focus({ preventScroll: true });
  } catch (error) {
    if (error.name !== "AbortError") location.assign(link.href);
  } finally {
    for (const card of coming) card.remove();
  }
}

function soon() {
  clearTimeout(timer);
  // As it is now, since the next field may be half typed in a moment; a box that is half typed waits for the rest.
  const url = address(part("refine"), halfTyped() ? "box" : "");
  // Arrow keys move a slider in many small steps.
  timer = setTimeout(() => follow(url, { fromForm: true }), 200);
}

// Of a box that is typed edge by edge, all are there or none.
function halfTyped() {
  const edges = [...part("asked").querySelectorAll("input")];
  const [left, top, right, bottom] = edges.map((input) => input.valueAsNumber);
  return edges.some((input) => input.value !== "") && !(left < right && top < bottom);
}

document.addEventListener("change", (event) => {
  const { form, name } = event.target;
  if (form?.matches("[data-refine]") && !(name === "box" && halfTyped())) soon();
});

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-refine]")) return;
  event.preventDefault();
  follow(address(event.target), { fromForm: true });
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (link.matches("[data-more]")) {
    event.preventDefault();
    showMore(link);
  } else if (link.matches("[data-refined]")) {
    event.preventDefault();
    follow(link.href).then((there) => {
      if (!there) return;
      const title = document.querySelector("#found-title");
      title.focus({ preventScroll: true });
      if (title.getBoundingClientRect().top < 0) title.scrollIntoView();
    });
  }
});

window.addEventListener("popstate", () => {
  if (place() !== shown) follow(location.href, { push: false }); // else it was only a leap on the page
});
