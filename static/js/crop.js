// <crop-box>: a box on a picture, drawn, moved and resized by pointer, touch and keyboard.
//
// It shows and fills in four number fields, in the order left, top, right, bottom and empty for the whole picture,
// which work without it; `edges` is the id of what holds them. A box that is finished is told by their `change`.

const LEAST = 0.06; // of a side
const STEP = 0.02;
const CORNERS = { nw: [0, 1], ne: [2, 1], sw: [0, 3], se: [2, 3] };
const WHOLE = [0, 0, 1, 1];

const within = (value, low = 0, high = 1) => Math.min(high, Math.max(low, value));

class CropBox extends HTMLElement {
  connectedCallback() {
    this.inputs = [...document.getElementById(this.getAttribute("edges")).querySelectorAll("input")];
    if (!this.frame) this.build();
    this.read();
  }

  build() {
    this.querySelector("svg")?.remove(); // stands in for the frame where there is no script
    this.frame = document.createElement("div");
    this.frame.className = "crop__frame";
    this.frame.tabIndex = 0;
    this.frame.setAttribute("role", "group");
    this.frame.setAttribute("aria-label", this.getAttribute("label"));
    this.frame.setAttribute("aria-description", this.getAttribute("help"));
    for (const corner of Object.keys(CORNERS)) {
      const handle = document.createElement("span");
      handle.className = `crop__handle crop__handle--${corner}`;
      handle.dataset.corner = corner;
      this.frame.append(handle);
    }
    this.said = document.createElement("p");
    this.said.className = "hidden";
    this.said.setAttribute("role", "status");
    this.append(this.frame, this.said);
    this.addEventListener("pointerdown", (event) => this.begin(event));
    this.addEventListener("pointermove", (event) => this.drag?.(this.point(event)));
    this.addEventListener("pointerup", () => this.end());
    this.addEventListener("pointercancel", () => {
      this.drag = undefined;
      this.read();
    });
    this.frame.addEventListener("keydown", (event) => this.key(event));
    for (const input of this.inputs) input.addEventListener("change", (event) => event.isTrusted && this.read());
  }

  get whole() {
    return this.box.every((edge, at) => Math.abs(edge - WHOLE[at]) < 0.005);
  }

  read() {
    const edges = this.inputs.map((input) => input.valueAsNumber);
    const sound = edges.every(Number.isFinite) && edges[0] < edges[2] && edges[1] < edges[3];
    this.show(sound ? edges.map((edge) => within(edge)) : WHOLE);
  }

  show(box) {
    this.box = [...box];
    const [left, top, right, bottom] = box;
    const sides = { left, top, width: right - left, height: bottom - top };
    for (const [name, value] of Object.entries(sides)) this.frame.style[name] = `${100 * value}%`;
    this.classList.toggle("crop--whole", this.whole);
  }

  // Fill in the fields, and tell.
  finish() {
    const whole = this.whole;
    const before = this.inputs.map((input) => input.value).join();
    this.inputs.forEach((input, at) => (input.value = whole ? "" : this.box[at].toFixed(3)));
    const [left, top, right, bottom] = this.box.map((edge) => Math.round(100 * edge));
    this.said.textContent = whole
      ? this.getAttribute("whole")
      : Object.entries({ left, top, right, bottom }).reduce(
          (words, [name, value]) => words.replace(`{${name}}`, value),
          this.getAttribute("said"),
        );
    if (this.inputs.map((input) => input.value).join() !== before) {
      this.inputs[0].dispatchEvent(new Event("change", { bubbles: true }));
    }
  }

  point(event) {
    const frame = this.querySelector("img").getBoundingClientRect();
    return [within((event.clientX - frame.left) / frame.width), within((event.clientY - frame.top) / frame.height)];
  }

  begin(event) {
    if (event.button !== 0) return;
    const start = this.point(event);
    const box = [...this.box];
    const corner = event.target.dataset.corner;
    this.setPointerCapture(event.pointerId);
    if (corner) this.drag = (point) => this.resize(box, CORNERS[corner], point);
    else if (event.target === this.frame && !this.whole) this.drag = (point) => this.move(box, start, point);
    else this.drag = (point) => this.draw(start, point);
    this.beside = !corner && event.target !== this.frame;
    this.moved = false;
  }

  end() {
    if (!this.drag) return;
    this.drag = undefined;
    const [left, top, right, bottom] = this.box;
    // A click beside the box, or a stroke too short to be one, takes it away.
    if (this.moved ? right - left < LEAST || bottom - top < LEAST : this.beside) this.show(WHOLE);
    this.finish();
  }

  resize(box, [across, down], [x, y]) {
    const changed = [...box];
    changed[across] = across ? within(x, box[0] + LEAST) : within(x, 0, box[2] - LEAST);
    changed[down] = down === 3 ? within(y, box[1] + LEAST) : within(y, 0, box[3] - LEAST);
    this.moved = true;
    this.show(changed);
  }

  move([left, top, right, bottom], start, [x, y]) {
    const right_ = within(x - start[0], -left, 1 - right);
    const down = within(y - start[1], -top, 1 - bottom);
    this.moved = true;
    this.show([left + right_, top + down, right + right_, bottom + down]);
  }

  draw(start, [x, y]) {
    if (Math.abs(x - start[0]) < LEAST / 2 && Math.abs(y - start[1]) < LEAST / 2) return;
    this.moved = true;
    this.show([Math.min(start[0], x), Math.min(start[1], y), Math.max(start[0], x), Math.max(start[1], y)]);
  }

  key(event) {
    const [left, top, right, bottom] = this.box;
    const direction = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (event.key in direction) {
      const [x, y] = direction[event.key];
      if (event.shiftKey) this.resize(this.box, [2, 3], [right + x, bottom + y]);
      else this.move(this.box, [0, 0], [x, y]);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.show(WHOLE);
    } else if (event.key !== "Enter") {
      return;
    }
    event.preventDefault();
    if (left === this.box[0] && top === this.box[1] && right === this.box[2] && bottom === this.box[3]) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.finish(), 300); // many small steps are one change
  }
}

customElements.define("crop-box", CropBox);
