// Makes searching with a photo quicker: choose, drop or paste it anywhere, see it go, take it back.
// Without this module the forms are sent as they are.

const LONGEST_SIDE = 1600; // pixels that a photo is scaled down to: more than a search looks at
const LIGHT = 1_500_000; // bytes that are sent as they are

const dialog = document.querySelector("[data-ask-dialog]");
const controls = [...document.querySelectorAll("[data-ask]")].map(control);

function control(form) {
  const part = (name) => form.querySelector(`[data-${name}]`);
  const inputs = [...form.querySelectorAll("input[type=file]")];
  let request; // under way
  let preview = "";

  const say = (words) => {
    part("status").textContent = words;
    part("said").textContent = words;
  };

  function idle(error = "") {
    const wasBusy = !part("busy").hidden;
    part("busy").hidden = true;
    part("idle").hidden = false;
    part("error").textContent = error;
    part("said").textContent = "";
    inputs[0].setAttribute("aria-invalid", String(Boolean(error)));
    for (const input of inputs) input.value = "";
    URL.revokeObjectURL(preview);
    if (wasBusy) inputs[0].focus();
  }

  function busy(file) {
    const first = part("busy").hidden;
    part("error").textContent = "";
    part("idle").hidden = true;
    part("busy").hidden = false;
    URL.revokeObjectURL(preview);
    preview = URL.createObjectURL(file);
    const picture = new Image();
    picture.alt = part("preview").dataset.alt;
    picture.src = preview;
    picture.addEventListener("error", () => picture.remove()); // HEIC, where a browser shows none
    part("preview").replaceChildren(picture);
    part("progress").removeAttribute("value");
    if (first) part("cancel").focus();
  }

  async function send(file) {
    request?.abort();
    const asked = (request = new AbortController());
    busy(file);
    say(form.dataset.preparing);
    const smaller = await scaled(file);
    if (asked.signal.aborted) return;
    if (smaller.size > Number(form.dataset.mostBytes)) {
      idle(form.dataset.tooLarge);
      return;
    }
    say(form.dataset.sending);
    try {
      const answer = await upload(form, smaller, file.name, asked.signal, (share) => {
        part("progress").value = share;
        if (share === 1) {
          part("progress").removeAttribute("value");
          say(form.dataset.looking);
        }
      });
      if (answer.location) location.assign(answer.location);
      else idle(answer.error || form.dataset.lost);
    } catch {
      if (!asked.signal.aborted) idle(form.dataset.lost);
    }
  }

  for (const input of inputs) input.addEventListener("change", () => input.files.length && send(input.files[0]));
  part("cancel").addEventListener("click", () => {
    request?.abort();
    idle();
  });
  // The browser may bring this very page back: nothing is under way then.
  window.addEventListener("pageshow", (event) => event.persisted && idle());

  return {
    form,
    send,
    cancel: () => {
      request?.abort();
      idle();
    },
    refuse: () => idle(form.dataset.noPicture),
  };
}

// An address is sent as the form it is, and may take the server some seconds: meanwhile the button says so.
for (const form of document.querySelectorAll("[data-address]")) {
  const button = form.querySelector("button");
  const said = form.previousElementSibling.querySelector("[data-said]"); // the control's own
  const words = button.textContent;

  const say = (fetching) => {
    button.disabled = fetching;
    button.textContent = fetching ? form.dataset.fetching : words;
    said.textContent = fetching ? form.dataset.fetching : "";
  };

  form.addEventListener("submit", () => say(true));
  // Another address is another try: the browser does not tell that somebody has stopped it.
  form.addEventListener("input", () => button.disabled && say(false));
  window.addEventListener("pageshow", () => button.disabled && say(false));
}

// A large photo as a smaller JPEG; one that this browser cannot read goes to the server as it is.
async function scaled(file) {
  try {
    const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = LONGEST_SIDE / Math.max(picture.width, picture.height);
    if (scale >= 1 && file.size <= LIGHT) return file;
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(picture.width * Math.min(1, scale)));
    canvas.height = Math.max(1, Math.round(picture.height * Math.min(1, scale)));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.fillStyle = "#fff"; // what is transparent, as the server sees it
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    const smaller = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
    return smaller && smaller.size < file.size ? smaller : file;
  } catch {
    return file;
  }
}

// XMLHttpRequest, since fetch does not tell how much of a body has been sent.
function upload(form, file, name, signal, sent) {
  return new Promise((resolve, reject) => {
    const body = new FormData();
    body.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    body.append("image", file, name);
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) sent(event.loaded / event.total);
    });
    request.addEventListener("load", () => resolve(request.response ?? {}));
    for (const end of ["error", "abort"]) request.addEventListener(end, () => reject(new Error(end)));
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

// Anywhere on the page -------------------------------------------------------------------------------------------

const inDialog = controls.find(({ form }) => dialog?.contains(form));
const onPage = controls.find(({ form }) => !dialog?.contains(form));

function take(files) {
  const file = [...files].find(({ type, name }) => type.startsWith("image/") || /\.(hei[cf]|avif)$/i.test(name));
  const chosen = onPage && !dialog?.open ? onPage : inDialog;
  if (!chosen) return;
  if (chosen === inDialog && !dialog.open) dialog.showModal();
  chosen.form.scrollIntoView({ block: "nearest" });
  if (file) chosen.send(file);
  else chosen.refuse();
}

if (dialog) {
  for (const opener of document.querySelectorAll("[data-ask-open]")) {
    opener.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      dialog.showModal();
    });
  }
  dialog.querySelector("[data-ask-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
  dialog.addEventListener("close", () => inDialog.cancel());
}

if (controls.length) {
  const veil = document.querySelector("[data-drop]");
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");

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
    if (event.dataTransfer.files.length) take(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) take(event.clipboardData.files);
  });
}
