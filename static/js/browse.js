// Choices in a list of products take effect at once. Without this, the form's button does it.

const form = document.querySelector("[data-filters]");
const parts = () => [...document.querySelectorAll("[data-part]")];

function address() {
  const chosen = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    const common = name === "sort" && value === form.elements.sort.options[0].value;
    if (value !== "" && !common) chosen.append(name, value);
  }
  const query = chosen.toString();
  return form.getAttribute("action") + (query && `?${query}`);
}

// What the reader is at, so that it is there again in the new page.
function place() {
  const at = document.activeElement;
  if (!form.contains(at)) return () => {};
  const typed = at.matches("input:not([type=checkbox])") ? at.value : undefined;
  return () => {
    const same = [...form.elements].find(
      (one) => one.name === at.name && (typed !== undefined || one.value === at.value),
    );
    if (!same) return;
    if (typed !== undefined) same.value = typed;
    same.focus({ preventScroll: true });
  };
}

function show(page) {
  const comeBack = place();
  const open = [...document.querySelectorAll("[data-facet]:has(details[open])")].map((facet) => facet.dataset.facet);
  for (const part of parts()) {
    const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
    if (fresh) part.replaceWith(document.importNode(fresh, true));
  }
  for (const facet of open) document.querySelector(`[data-facet="${facet}"] details`)?.setAttribute("open", "");
  // Only the text: readers are told of changes to an element that stays.
  document.querySelector("[data-count]").textContent = page.querySelector("[data-count]").textContent;
  document.title = page.title;
  comeBack();
}

const here = () => location.pathname + location.search;
let shown = here(); // what the page shows
let latest;

async function apply() {
  latest?.abort();
  const asked = (latest = new AbortController());
  const url = address();
  const found = document.querySelector('[data-part="found"]');
  found.ariaBusy = "true";
  try {
    const response = await fetch(url, { signal: asked.signal });
    if (!response.ok) throw new Error(`${response.status}`);
    const text = await response.text();
    show(new DOMParser().parseFromString(text, "text/html"));
    history.pushState({ browsing: true }, "", url);
    shown = here();
  } catch (error) {
    if (error.name !== "AbortError") location.assign(url); // the page itself says what is wrong
  }
}

if (form) {
  // The select for the order stands outside the form and belongs to it.
  document.addEventListener("change", (event) => event.target.form === form && apply());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
  window.addEventListener("popstate", () => {
    if (here() !== shown) location.reload(); // else it was only a leap on the page
  });
}
