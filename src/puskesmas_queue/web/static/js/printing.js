/**
 * Prints a slip once, and keeps what became of it.
 *
 * Every print is a job with a name. The same name is never printed twice: not when a page is
 * loaded again or gone back to, when an answer is lost, nor in another tab of this browser. What
 * the clinic's printers know under that name they tell again; a tap of "Cetak lagi" is a new name.
 */

const KEPT_KEY = "printed.jobs";
const KEPT = 50;
const PATIENCE_MS = 45_000; // a few printers, each with its own patience
const RETRY_MS = 2000;
const PAUSE_MS = 2500; // a finger that taps twice means one

const own = new Map(); // for browsers that keep nothing

function kept() {
  try {
    return new Map(JSON.parse(window.localStorage.getItem(KEPT_KEY) ?? "[]"));
  } catch {
    return own;
  }
}

function keep(job, state) {
  const jobs = [...kept(), [job, state]].slice(-KEPT);
  own.set(job, state);
  try {
    window.localStorage.setItem(KEPT_KEY, JSON.stringify(jobs));
  } catch {
    // What this page itself keeps has to do.
  }
}

function known(job) {
  return kept().get(job) ?? own.get(job);
}

/** Name a print that somebody asks for. */
export function newJob() {
  const bytes = [...window.crypto.getRandomValues(new Uint8Array(12))];
  return `again-${bytes.map((byte) => byte.toString(36).padStart(2, "0")).join("")}`;
}

async function ask(path, job) {
  const end = Date.now() + PATIENCE_MS;
  while (Date.now() < end) {
    try {
      const answer = await fetch(path, {
        method: "POST",
        body: new URLSearchParams({ job }),
        signal: AbortSignal.timeout(Math.max(1, end - Date.now())),
      });
      if (answer.ok && !answer.redirected) return (await answer.json()).state;
      if (answer.status < 500) return "failed"; // refused before anything was printed
    } catch {
      // Lost on the way: how this job fared is asked again, it is not printed again.
    }
    await new Promise((resolve) => window.setTimeout(resolve, RETRY_MS));
  }
  return "unsure";
}

/**
 * Print a job, unless it was printed before.
 *
 * @param {string|undefined} path Where the clinic's printers are asked; without it this browser prints.
 * @param {string} job Its name.
 * @param {() => boolean} isShown Whether the slip is still on the page, for this browser to print.
 * @returns {Promise<"printed"|"unsure"|"failed">} How it fared, now or before.
 */
export async function printOnce(path, job, isShown) {
  const before = known(job);
  if (before !== undefined) return before;
  const state = path ? await ask(path, job) : "by_page";
  if (state !== "by_page") {
    keep(job, state);
    return state;
  }
  // A browser does not say whether paper came out. Where it always prints that is no news; where
  // it stands in for a printer that failed, somebody should look.
  const fared = path ? "unsure" : "printed";
  // Another tab may have been told the same meanwhile.
  if (known(job) === undefined && isShown()) {
    keep(job, fared);
    window.print(); // with --kiosk-printing there is no question
  }
  return fared;
}

/**
 * Show how a print fares, in the elements that carry `data-print-state`.
 *
 * @param {ParentNode} root Where they are.
 * @param {string} state `printing`, `printed`, `unsure` or `failed`.
 */
export function showState(root, state) {
  for (const note of root.querySelectorAll("[data-print-state]")) {
    note.hidden = note.dataset.printState !== state;
  }
}

/**
 * Print by a button, and keep it from being tapped again meanwhile and a moment longer.
 *
 * @param {HTMLButtonElement} button Tapped; one that waits does nothing.
 * @param {() => Promise<void>} print What it does.
 */
export async function printBy(button, print) {
  if (button.disabled) return;
  button.disabled = true;
  const pause = new Promise((resolve) => window.setTimeout(resolve, PAUSE_MS));
  try {
    await Promise.all([print(), pause]);
  } finally {
    button.disabled = false;
  }
}
