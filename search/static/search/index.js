/* The page of the index brings its numbers up to date by itself: often while something is under way, seldom
   otherwise, not at all while nobody looks. Without this script a reload does the same. */
"use strict";

(() => {
  const BUSY = 1500;
  const QUIET = 10000;
  const READABLE = 5000; // for as long a message stays, however soon it is done
  const page = document.getElementById("index-page");
  const status = document.getElementById("index-status");
  let timer = 0;
  let failures = 0;
  let took = 0;

  const parts = () => document.getElementById("index-parts");

  function later() {
    clearTimeout(timer);
    if (document.hidden) return;
    // A site that takes its time is left in peace for longer; the longer nothing comes, the less often it is asked.
    const pause = Math.max(parts().dataset.busy === "true" ? BUSY : QUIET, 10 * took);
    timer = setTimeout(refresh, Math.min(pause * 2 ** failures, 60000));
  }

  async function refresh() {
    const began = performance.now();
    try {
      const response = await fetch(page.dataset.numbers, { credentials: "same-origin" });
      if (response.redirected || response.status === 403) {
        location.reload(); // logged out meanwhile
        return;
      }
      if (!response.ok) throw new Error(response.statusText);
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("index-parts");
      if (fresh) exchange(fresh);
      failures = 0;
      took = performance.now() - began;
    } catch {
      failures = Math.min(failures + 1, 6);
    }
    later();
  }

  /* Only what differs is exchanged, so that nothing flickers and a selection stays; focus comes back by id. */
  function exchange(fresh) {
    const focused = document.activeElement && document.activeElement.id;
    for (const part of fresh.querySelectorAll("[data-part]")) {
      const old = parts().querySelector(`[data-part="${part.dataset.part}"]`);
      if (old && old.innerHTML !== part.innerHTML) old.replaceWith(part);
    }
    if (focused && (!document.activeElement || document.activeElement === document.body)) {
      const same = document.getElementById(focused);
      if (same) same.focus({ preventScroll: true });
    }
    parts().dataset.busy = fresh.dataset.busy;
    if (fresh.dataset.underWay === "false") setTimeout(takeBack, READABLE - performance.now());
    // Told once per change, and never the numbers that change with each photo.
    if (parts().dataset.announcement !== fresh.dataset.announcement) {
      parts().dataset.announcement = fresh.dataset.announcement;
      status.textContent = fresh.dataset.announcement;
    }
  }

  /* What was said of a button that was pressed is no longer true once all that was asked for has ended. */
  function takeBack() {
    for (const said of document.querySelectorAll(".index-asked")) {
      const list = said.closest("ul");
      (said.closest("li") || said).remove();
      if (list && !list.children.length) list.remove();
    }
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) refresh();
  });
  later();
})();
