/*
 * A slip that staff print: once when the page is opened from the counter, and again by its button.
 *
 * By the clinic's printers where it has some; by this browser where they leave it to the page.
 */

import { newJob, printBy, printOnce, showState } from "./printing.js";

const again = document.querySelector("[data-print-again]");

async function print(job) {
  const path = document.body.dataset.printAt;
  if (path) showState(document, "printing");
  showState(document, await printOnce(path, job, () => true));
}

again.hidden = false;
again.addEventListener("click", () => printBy(again, () => print(newJob())));
await document.fonts.ready;
const { job } = document.body.dataset;
if (job) printBy(again, () => print(job));
