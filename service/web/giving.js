// The ways to give a picture: sample, file, drop, paste, camera, drawing. Knows no network.

import { byId, element, rove } from "./elements.js";
import { text } from "./texts.js";

/** Where a picture comes from that is a file of the person's. */
const OWN_FILE = {};

/** Ten pictures of Fashion-MNIST, one of each class, by the class's number. */
const SAMPLES = 10;
const NAMED = 10;
const FASHION_MNIST = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot";

/**
 * Call `take(blob, name, origin)` with each picture that the person gives, and `tell(key)` where a camera is missing.
 *
 * `origin` is null for what is in no file yet, and has the `address` of what can be fetched.
 */
export function listenForPictures(take, tell) {
  byId("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) take(target.files[0], target.files[0].name, OWN_FILE);
    target.value = "";
  });
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) take(file, file.name, null); // perhaps a part of a screen
  });
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.add("dropping");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (file) take(file, file.name, OWN_FILE);
  });
  for (const button of document.querySelectorAll("dialog .close")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  prepareDrawing(take);
  prepareCamera(take, tell);
}

/** Offer the samples, where they are of the classes that the network knows; `get(number)` promises one's Blob. */
export function offerSamples(classNames, take, get, addressOf) {
  if (classNames.join() !== FASHION_MNIST) return;
  const group = byId("samples");
  group.replaceChildren();
  for (let number = 0; number < SAMPLES; number += 1) {
    const name = text("sample", { name: classNames[number] });
    const image = element("img", { src: addressOf(number), alt: name, width: 48, height: 48 });
    const button = element("button", { title: name }, image);
    button.addEventListener("click", () => take(get(number), `${number}.png`, { address: addressOf(number) }));
    group.append(button);
  }
  rove(group, 5);
}

/** Light on black as the pictures of grey data sets are, or dark on white; and in words what there is to be drawn. */
export function fitDrawing({ class_names: names, input }) {
  byId("paper").classList.toggle("white", input.channels > 1);
  const named = names.some((name) => !/^class \d+$/.test(name));
  byId("drawing-text").textContent = named ? text("drawOneOf", { names: names.slice(0, NAMED).join(", ") + (names.length > NAMED ? ", …" : "") }) : "";
}

function prepareDrawing(take) {
  const paper = byId("paper");
  const white = () => paper.classList.contains("white");
  const context = paper.getContext("2d");
  const clear = () => context.clearRect(0, 0, paper.width, paper.height);
  let last = null;
  const place = (event) => {
    const box = paper.getBoundingClientRect();
    return [((event.clientX - box.left) * paper.width) / box.width, ((event.clientY - box.top) * paper.height) / box.height];
  };
  paper.addEventListener("pointerdown", (event) => {
    paper.setPointerCapture(event.pointerId);
    last = place(event);
  });
  paper.addEventListener("pointermove", (event) => {
    if (!last) return;
    const next = place(event);
    Object.assign(context, { strokeStyle: white() ? "#202020" : "#e8e8e8", lineWidth: 22, lineCap: "round" });
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...next);
    context.stroke();
    last = next;
  });
  for (const kind of ["pointerup", "pointercancel"]) paper.addEventListener(kind, () => (last = null));
  byId("open-drawing").addEventListener("click", () => {
    clear();
    byId("drawing").showModal();
  });
  byId("clear-drawing").addEventListener("click", clear);
  byId("use-drawing").addEventListener("click", () => {
    // A canvas alone would be transparent.
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = white() ? "#fff" : "#000";
    context.fillRect(0, 0, paper.width, paper.height);
    context.globalCompositeOperation = "source-over";
    paper.toBlob((blob) => take(blob, "drawing.png", null));
    byId("drawing").close();
  });
}

function prepareCamera(take, tell) {
  const dialog = byId("camera");
  const video = byId("video");
  byId("open-camera").addEventListener("click", async () => {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      tell("noCamera");
      return;
    }
    dialog.showModal();
    await video.play().catch(() => {}); // closed before it began
  });
  dialog.addEventListener("close", () => {
    video.srcObject?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  });
  byId("take-picture").addEventListener("click", () => {
    if (!video.videoWidth) return;
    const still = element("canvas", { width: video.videoWidth, height: video.videoHeight });
    still.getContext("2d").drawImage(video, 0, 0);
    still.toBlob((blob) => take(blob, "camera.jpg", null), "image/jpeg", 0.92);
    dialog.close();
  });
}
