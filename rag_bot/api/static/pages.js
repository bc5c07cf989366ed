// The pages of a PDF (drawn by pdf.js), or a picture, in the source panel, with the quote boxed. Nothing of the file is ever run.

import { documents } from "./api.js";
import { el, iconButton } from "./dom.js";

const PDFJS = new URL("./pdfjs/", import.meta.url).href;
const ZOOMS = [1, 1.5, 2, 3]; // of the panel's width
const MOST_PIXELS = 16e6; // of a canvas: what every browser can hold

let library = null; // loaded when the first page is shown
let open = null; // the last PDF: {id, sha256, task}, kept since the next citation is often of the same one

async function pdfjs() {
  library ??= import("./pdfjs/pdf.min.mjs").then((module) => {
    module.GlobalWorkerOptions.workerSrc = `${PDFJS}pdf.worker.min.mjs`;
    return module;
  });
  try {
    return await library;
  } catch (error) {
    library = null;
    throw error;
  }
}

async function pdfOf({ document_id: id, sha256 }) {
  const { getDocument } = await pdfjs();
  if (open?.id !== id || open.sha256 !== sha256) {
    open?.task.destroy();
    const task = getDocument({
      url: new URL(documents.file(id), document.baseURI).href,
      standardFontDataUrl: `${PDFJS}fonts/`,
      wasmUrl: `${PDFJS}wasm/`,
      useWasm: false, // the page's security policy allows neither WebAssembly
      isEvalSupported: false, // nor code made of text
      // Only what the page needs is fetched, of large files too.
      disableAutoFetch: true,
      disableStream: true,
      rangeChunkSize: 512 * 1024,
    });
    open = { id, sha256, task };
  }
  try {
    return await open.task.promise;
  } catch (error) {
    open = null;
    throw error;
  }
}

const PICTURES = ["image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp"]; // that browsers show

/** Whether the document's pages can be shown here. */
export const hasPages = ({ media_type: type, masked }) => !masked && (type === "application/pdf" || PICTURES.includes(type));

/** Why a page can't be shown, for a person. */
export function pageProblem(error) {
  if (error.name === "PasswordException") return "The file is encrypted, so its pages are not shown here. This is its text.";
  if (error.status === 404 || error.name === "ResponseException") return "The original file is not there, or is not given out. This is its text.";
  return "The page can't be drawn. This is its text.";
}

export class Pages {
  /** `places`: the quote's boxes as `/boxes` gives them, on one page or more. Shows the first of these pages, or page 1. */
  constructor(info, places) {
    this.info = info;
    this.places = new Map(places.map((place) => [place.page, place]));
    this.number = places[0]?.page ?? 1;
    this.zoom = 0;
    this.where = el("span", { class: "pages-where", role: "status" }, "Opening the page…");
    this.earlier = iconButton("previous", "Previous page", () => this.turn(-1));
    this.later = iconButton("next", "Next page", () => this.turn(1));
    this.smaller = iconButton("minus", "Smaller", () => this.scale(-1));
    this.larger = iconButton("plus", "Larger", () => this.scale(1));
    this.sheet = el("div", { class: "sheet" });
    this.node = el("div", { class: "pages" },
      el("div", { class: "pages-bar" }, this.earlier, this.later, this.where, el("span", { class: "spacer" }), this.smaller, this.larger),
      el("div", { class: "sheet-scroll", tabindex: "0", role: "region", "aria-label": "Page of the document" }, this.sheet));
    this.drawing = 0;
  }

  /** Draw the page; raises what pdf.js raises. The node must stand in the document, as its width is the page's. */
  async draw() {
    const turn = (this.drawing += 1);
    const [sheet, number, count] = await (PICTURES.includes(this.info.media_type) ? this.picture() : this.page());
    if (turn !== this.drawing) return;
    this.number = number;
    this.sheet.style.width = `${100 * ZOOMS[this.zoom]}%`;
    this.sheet.replaceChildren(sheet, ...this.boxes());
    this.where.textContent = `Page ${number} of ${count}`;
    this.earlier.disabled = number <= 1;
    this.later.disabled = number >= count;
    this.smaller.disabled = this.zoom === 0;
    this.larger.disabled = this.zoom === ZOOMS.length - 1;
  }

  async picture() {
    const image = el("img", { src: documents.file(this.info.document_id), alt: "The picture that is quoted" });
    await image.decode();
    return [image, 1, 1];
  }

  async page() {
    const pdf = await pdfOf(this.info);
    const number = Math.min(Math.max(this.number, 1), pdf.numPages);
    const page = await pdf.getPage(number);
    const plain = page.getViewport({ scale: 1 });
    const width = this.node.clientWidth * ZOOMS[this.zoom];
    const most = Math.sqrt(MOST_PIXELS / (plain.width * plain.height));
    const viewport = page.getViewport({ scale: Math.min((width / plain.width) * (window.devicePixelRatio || 1), most) });
    const canvas = el("canvas", {
      role: "img", "aria-label": `Page ${number} of ${pdf.numPages}`, width: Math.round(viewport.width), height: Math.round(viewport.height),
    });
    await page.render({ canvas, viewport }).promise;
    return [canvas, number, pdf.numPages];
  }

  /** The boxes of this page, placed by shares of its size: they stay right at any zoom. */
  boxes() {
    const place = this.places.get(this.number);
    return (place?.boxes ?? []).map(([left, top, right, bottom]) => {
      const box = el("div", { class: "quote-box" });
      box.style.left = `${(100 * left) / place.width}%`;
      box.style.top = `${(100 * top) / place.height}%`;
      box.style.width = `${(100 * (right - left)) / place.width}%`;
      box.style.height = `${(100 * (bottom - top)) / place.height}%`;
      return box;
    });
  }

  /** Bring the quote into view within `scroller`. */
  reveal(scroller) {
    const box = this.sheet.querySelector(".quote-box");
    scroller.scrollTop = 0;
    if (!box) return;
    scroller.scrollTop = box.getBoundingClientRect().top - scroller.getBoundingClientRect().top - scroller.clientHeight * 0.3;
    const sideways = this.sheet.parentElement;
    sideways.scrollLeft = box.offsetLeft - sideways.clientWidth * 0.2;
  }

  async turn(step) {
    this.number += step;
    await this.again();
  }

  async scale(step) {
    this.zoom = Math.min(Math.max(this.zoom + step, 0), ZOOMS.length - 1);
    await this.again();
  }

  async again() {
    try {
      await this.draw();
      this.reveal(this.node.parentElement);
    } catch (error) {
      this.where.textContent = pageProblem(error);
    }
  }
}
