// A product's photos: small ones choose the large one, and that opens whole. Without this they are plain links.

const gallery = document.querySelector("[data-gallery]");
const strip = gallery?.querySelector("[data-photos]");

if (strip) {
  const links = [...strip.querySelectorAll("[data-zoom]")];
  const thumbs = [...gallery.querySelectorAll("[data-thumb]")];
  const dialog = gallery.querySelector("[data-dialog]");
  const stage = dialog.querySelector("[data-stage]");
  const whole = stage.appendChild(new Image());
  const number = dialog.querySelector("[data-number]");
  const enlarge = dialog.querySelector("[data-enlarge]");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let current = 0;

  const mark = (at) => {
    current = at;
    thumbs.forEach((thumb, place) =>
      place === at ? thumb.setAttribute("aria-current", "true") : thumb.removeAttribute("aria-current"),
    );
  };
  const slide = (at) => {
    mark(at);
    strip.scrollTo({ left: links[at].parentElement.offsetLeft, behavior: calm.matches ? "instant" : "smooth" });
  };

  for (const thumb of thumbs) {
    thumb.addEventListener("click", (event) => {
      event.preventDefault();
      slide(Number(thumb.dataset.thumb));
    });
  }
  // Swiping the strip moves the mark along.
  const seen = new IntersectionObserver(
    (entries) => entries.forEach((entry) => entry.isIntersecting && mark(links.indexOf(entry.target))),
    { root: strip, threshold: 0.6 },
  );
  links.forEach((link) => seen.observe(link));

  const setLarge = (large) => {
    dialog.classList.toggle("zoom--large", large);
    enlarge.setAttribute("aria-pressed", String(large));
    if (!large) return;
    stage.scrollLeft = (stage.scrollWidth - stage.clientWidth) / 2;
    stage.scrollTop = (stage.scrollHeight - stage.clientHeight) / 2;
  };
  const show = (at) => {
    mark((at + links.length) % links.length);
    const photo = links[current].querySelector("img");
    whole.src = links[current].href;
    whole.alt = photo.alt;
    whole.width = photo.getAttribute("width");
    whole.height = photo.getAttribute("height");
    number.textContent =
      links.length > 1 ? number.dataset.words.replace("{number}", current + 1).replace("{count}", links.length) : "";
    setLarge(false);
  };

  for (const link of links) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      show(links.indexOf(link));
      dialog.showModal();
    });
  }
  dialog.addEventListener("close", () => {
    slide(current);
    links[current].focus({ preventScroll: true });
  });
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || links.length < 2 || dialog.classList.contains("zoom--large")) return;
    event.preventDefault();
    show(current + step);
  });
  // Beside the photo is outside of it.
  stage.addEventListener("click", (event) => {
    if (event.target === whole) setLarge(!dialog.classList.contains("zoom--large"));
    else dialog.close();
  });
  enlarge.addEventListener("click", () => setLarge(!dialog.classList.contains("zoom--large")));
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  for (const button of dialog.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => show(current + Number(button.dataset.step)));
  }
}
