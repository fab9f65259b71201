// What the admin's theme leaves to the pointer alone is given to the keyboard and to screen readers too, and a form
// that takes its time is sent once.

const WORDS = new URLSearchParams(new URL(document.currentScript.src).hash.slice(1));
const CLICKED = "[x-on\\:click]:not(a[href], button, input, label, summary)";

function reachable(root) {
  for (const icon of root.querySelectorAll(".material-symbols-outlined")) {
    icon.setAttribute("aria-hidden", "true"); // its text is the name of a sign
  }
  for (const element of root.querySelectorAll("a[href], button")) {
    const named = element.title || element.getAttribute("aria-label") || element.querySelector("img, svg");
    if (!named && !words(element)) element.setAttribute("aria-label", label(element));
  }
  for (const input of root.querySelectorAll("input.staff-file, input.staff-files")) {
    input.hasChangeListener = true; // the theme writes the file's name into a box of its own, which these have not
  }
  for (const hint of root.querySelectorAll("span[aria-label]:not([role])")) hint.setAttribute("role", "img");
  for (const element of root.querySelectorAll(CLICKED)) {
    if (element.matches("[x-on\\:click\\.outside]") || element.closest("template")) continue;
    // A sign that is clicked is no longer hidden, and needs words.
    element.removeAttribute("aria-hidden");
    element.setAttribute("role", "button");
    element.tabIndex = 0;
    if (!element.getAttribute("aria-label") && !words(element)) {
      element.setAttribute("aria-label", label(element));
    }
  }
}

function words(element) {
  const copy = element.cloneNode(true);
  for (const icon of copy.querySelectorAll(".material-symbols-outlined")) icon.remove();
  return element.classList.contains("material-symbols-outlined") ? "" : copy.textContent.trim();
}

function label(element) {
  if (element.id === "searchbar-submit") return WORDS.get("search");
  if (element.closest("#nav-sidebar") && element.href) return WORDS.get("overview");
  const action = element.getAttribute("x-on:click") || "";
  if (action.includes("sidebar")) return WORDS.get("menu");
  return WORDS.get(action.includes("Theme") ? "theme" : "more");
}

document.addEventListener("DOMContentLoaded", () => {
  reachable(document);
  new MutationObserver((records) => {
    for (const record of records) {
      for (const node of record.addedNodes) if (node.nodeType === Node.ELEMENT_NODE) reachable(node);
    }
  }).observe(document.body, { childList: true, subtree: true });
});

document.addEventListener("keydown", (event) => {
  if (!event.target.matches?.(`${CLICKED}[role="button"]`)) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    event.target.click();
  }
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-once]")) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  form.setAttribute("aria-busy", "true");
  for (const button of form.querySelectorAll('button[type="submit"]')) button.setAttribute("aria-disabled", "true");
});

// Back from another page, a form can be sent anew.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
    for (const button of form.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
  }
});

// The page of an import keeps itself up to date; without this script staff reload it.
async function refresh(page) {
  if (!document.hidden) {
    try {
      const response = await fetch(location.href, { credentials: "same-origin" });
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      for (const part of page.querySelectorAll("[data-part]")) {
        const next = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
        if (!next) return location.reload(); // signed out
        // By its text: the form's token differs each time, and replacing a button takes its focus away.
        if (part.textContent !== next.textContent) part.innerHTML = next.innerHTML;
      }
      if (!fresh.querySelector("[data-refresh]")) return undefined;
    } catch {
      // The site does not answer now; the next try may succeed.
    }
  }
  return setTimeout(refresh, 2000, page);
}

document.addEventListener("DOMContentLoaded", () => {
  const page = document.querySelector("[data-refresh]");
  if (page) setTimeout(refresh, 2000, page);
});
