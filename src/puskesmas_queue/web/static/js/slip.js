/*
 * A slip that staff print: once when the page opens, and again by its button.
 *
 * By the clinic's printers where it has some; by this browser where they leave it to the page.
 */

const PRINT_TIMEOUT_MS = 45_000; // a few printers, each with its own patience
const again = document.querySelector("[data-print-again]");
const unprinted = document.querySelector("[data-unprinted]");

async function askToPrint(path) {
  const job = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(36).padStart(2, "0")).join("");
  try {
    const answer = await fetch(path, {
      method: "POST",
      body: new URLSearchParams({ job: `counter-${job}` }),
      signal: AbortSignal.timeout(PRINT_TIMEOUT_MS),
    });
    return answer.ok ? (await answer.json()).state : "failed";
  } catch {
    return "failed";
  }
}

async function print() {
  again.disabled = true;
  const path = document.body.dataset.printAt;
  const state = path ? await askToPrint(path) : "by_page";
  again.disabled = false;
  unprinted.hidden = state !== "failed";
  if (state === "by_page") window.print();
}

again.hidden = false;
again.addEventListener("click", print);
await document.fonts.ready;
print();
