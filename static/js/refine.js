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
  const response = await fetch(url, { signal: latest.signal });
  if (!response.ok) throw new Error(`${response.status}`);
  return parser.parseFromString(await response.text(), "text/html");
}

// Show what an address holds; where that fails, go there: the page itself says what is wrong.
async function follow(url, show, { push = true } = {}) {
  clearTimeout(timer);
  part("found").ariaBusy = "true";
  try {
    const page = await fetched(url);
    show(page);
    if (push) history.pushState(null, "", url);
    shown = place();
  } catch (error) {
    if (error.name !== "AbortError") location.assign(url);
  }
}

const replaced = (name, page) => part(name).replaceWith(document.importNode(part(name, page), true));

// The form's own state is newer than the page that came: only what it leads to is replaced.
function showFound(page) {
  const focused = document.activeElement;
  const name = part("facets").contains(focused) && selector(focused);
  const open = [...document.querySelectorAll("[data-facet]:has(details[open])")].map((facet) => facet.dataset.facet);
  const scrolled = part("facets").scrollTop;
  replaced("found", page);
  replaced("facets", page);
  for (const facet of open) document.querySelector(`[data-facet="${facet}"] details`)?.setAttribute("open", "");
  part("facets").scrollTop = scrolled;
  if (name) part("facets").querySelector(name)?.focus({ preventScroll: true });
}

function selector({ name, value, type }) {
  return type === "checkbox" ? `[name="${name}"][value="${CSS.escape(value)}"]` : `[name="${name}"]`;
}

// Everything but the picture, which is the same.
function showSearch(page) {
  const picture = part("asked");
  const edges = [...part("asked", page).querySelectorAll("input")].map((input) => input.value);
  const open = part("search").querySelector("#narrow:popover-open");
  replaced("search", page);
  part("asked").replaceWith(picture);
  [...picture.querySelectorAll("input")].forEach((input, at) => (input.value = edges[at]));
  picture.querySelector("crop-box").read?.();
  open?.hidePopover?.();
}

// As the server writes it: without what is empty or as it is by default, a box in one parameter.
function address(form) {
  const parameters = new URLSearchParams();
  const edges = [];
  for (const [name, value] of new FormData(form)) {
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
    const page = await fetched(link.href);
    const added = [...part("grid", page).children].slice(count).map((card) => document.importNode(card, true));
    grid.querySelector(".card--coming")?.before(...added);
    history.replaceState(null, "", link.href.split("#")[0]);
    shown = place();
    const next = part("more", page);
    if (next) link.href = next.href;
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
  timer = setTimeout(() => follow(address(part("refine")), showFound), 200); // arrow keys move a slider in small steps
}

document.addEventListener("change", (event) => {
  if (event.target.form?.matches("[data-refine]")) soon();
});

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-refine]")) return;
  event.preventDefault();
  follow(address(event.target), showFound);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (link.matches("[data-more]")) {
    event.preventDefault();
    showMore(link);
  } else if (link.matches("[data-refined]")) {
    event.preventDefault();
    follow(link.href, (page) => {
      showSearch(page);
      const title = document.querySelector("#found-title");
      title.focus({ preventScroll: true });
      if (title.getBoundingClientRect().top < 0) title.scrollIntoView();
    });
  }
});

window.addEventListener("popstate", () => {
  if (place() !== shown) follow(location.href, showSearch, { push: false }); // else it was only a leap on the page
});
