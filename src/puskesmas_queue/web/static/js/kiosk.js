/**
 * The kiosk's page: everything that plain links and forms cannot do.
 *
 * - A request that got no answer is asked again with the same words until there is one; the key
 *   `f` in the form makes that safe. Meanwhile the overlay sends people to the staff.
 * - Remainders, opening and queue length follow the live topic.
 * - The number is printed once, then the screen clears; an idle question goes back to the start.
 * - `kiosk_aloud.js` reads a page aloud.
 *
 * htmx swaps the body's content, so that this module lives as long as the screen: it looks
 * elements up anew on every page and never keeps one.
 */

import { enterPage } from "./kiosk_aloud.js";
import { connectLive } from "./live.js";
import { newJob, printBy, printOnce, showState } from "./printing.js";

const RETRY_MS = 2000;
const FORGET_ISSUE_MS = 120_000; // whoever asked has gone to the staff by then
const FORGET_PAGE_MS = 20_000;
const IDLE_QUESTION_S = 15;
const AFTER_READING_S = 5;
const UNPRINTED_S = 45; // time to photograph the number

const body = document.body;
const find = (selector, root = document) => root.querySelector(selector);
const thisPage = () => document.getElementById("page");

/* --- Lost and found ------------------------------------------------------------------------- */

let isSilent = false; // the live stream is away
let pending = null; // {verb, path, values, since}: asked, not answered
let retryTimer = 0;
let isAsking = false;

function showConnection() {
  const isLost = isSilent || pending !== null;
  const overlay = find("[data-lost]", body);
  if (overlay) overlay.hidden = !isLost;
  thisPage()?.toggleAttribute("inert", isLost);
}

function startOver() {
  if (pending === null) find("[data-start]")?.click();
}

function keepAsking(requestConfig) {
  const { verb, path, formData } = requestConfig;
  if (pending === null || pending.path !== path) {
    const values = verb === "get" ? {} : Object.fromEntries(formData ?? []);
    pending = { verb, path, values, since: Date.now() };
  }
  showConnection();
  window.clearTimeout(retryTimer);
  retryTimer = window.setTimeout(askAgain, RETRY_MS);
}

function askAgain() {
  window.clearTimeout(retryTimer);
  if (pending === null || isAsking) return;
  const start = find("[data-start]");
  const home = start.getAttribute("href");
  const limit = pending.verb === "get" ? FORGET_PAGE_MS : FORGET_ISSUE_MS;
  if (Date.now() - pending.since > limit && pending.path !== home) {
    pending = { verb: "get", path: home, values: {}, since: Date.now() };
  }
  const { verb, path, values } = pending;
  const source = path === home ? start : thisPage();
  const where = { source, values, target: body, swap: "innerHTML" };
  // A failure is told by htmx's events, like that of any other request.
  window.htmx.ajax(verb.toUpperCase(), path, where).catch(() => {});
}

document.addEventListener("htmx:beforeRequest", () => {
  isAsking = true;
  body.classList.add("is-busy");
});

document.addEventListener("htmx:afterRequest", (event) => {
  isAsking = false;
  body.classList.remove("is-busy");
  find(".is-touched")?.classList.remove("is-touched");
  if (event.detail.successful || (event.detail.xhr.status >= 400 && event.detail.xhr.status < 500)) {
    pending = null;
    window.clearTimeout(retryTimer);
    showConnection();
  }
});

for (const name of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
  document.addEventListener(name, (event) => {
    isAsking = false;
    keepAsking(event.detail.requestConfig);
  });
}

document.addEventListener("click", (event) => {
  const touched = event.target.closest("a.k-tile, button.k-tile");
  if (touched && !touched.disabled) touched.classList.add("is-touched");
});

// Retries come from no link, so the address is set here: a reload shows the same page.
document.addEventListener("htmx:afterSwap", (event) => {
  const url = event.detail.xhr?.responseURL;
  if (url && event.detail.target === body && url !== window.location.href) {
    window.history.replaceState(window.history.state, "", url);
  }
});

let isConnected = false;

/** A page of an error may not know its zone; the next one does. */
function connect(zone) {
  if (isConnected || !zone) return;
  isConnected = true;
  connectLive({
    topics: [`kiosk-${zone}`],
    onLost: () => {
      isSilent = true;
      showConnection();
    },
    onBack: () => {
      isSilent = false;
      showConnection();
      askAgain();
    },
  });
}

// A new version is taken between two people, never under somebody's finger.
document.addEventListener("live:reload", (event) => {
  if (thisPage()?.dataset.page !== "start" || pending !== null) event.preventDefault();
});

/* --- Live numbers --------------------------------------------------------------------------- */

let latest = null;

function showUnit(tile, unit) {
  const isFull = unit.remaining !== null && unit.remaining <= 0;
  tile.closest("li").hidden = !unit.active;
  tile.disabled = isFull;
  const set = (selector, hidden) => find(selector, tile)?.toggleAttribute("hidden", hidden);
  set(".k-rest", unit.remaining === null);
  set("[data-rest-word]", isFull);
  set("[data-full-word]", !isFull);
  set("[data-waiting-line]", isFull);
  set("[data-full-line]", !isFull);
  find("[data-remaining]", tile).textContent = String(unit.remaining ?? "");
  find("[data-waiting]", tile).textContent = String(unit.waiting);
}

function showLatest() {
  const page = thisPage();
  if (latest === null || !page) return;
  for (const tile of page.querySelectorAll("[data-unit]")) {
    const unit = latest.units[tile.dataset.unit];
    if (unit) showUnit(tile, unit);
  }
  if (page.dataset.page !== "start") return;
  const apart = new Set((page.dataset.emergencyUnits ?? "").split(","));
  const waiting = Object.entries(latest.units)
    .filter(([code]) => !apart.has(code))
    .reduce((sum, [, unit]) => sum + unit.waiting, 0);
  const total = find("[data-waiting]", page);
  if (total) total.textContent = String(waiting);
  const state = latest.blocked ? "blocked" : latest.open ? "open" : "closed";
  if (state !== page.dataset.state && Date.now() - enteredAt > RETRY_MS) startOver();
}

document.addEventListener("live:kiosk", (event) => {
  latest = event.detail;
  showLatest();
});

/* --- Time running out ----------------------------------------------------------------------- */

/** Let a ring run empty in `seconds`, then call `done`; returns how to stop. */
function runRing(root, seconds, done) {
  const ring = find("[data-ring]", root);
  const text = find("[data-seconds]", root);
  const end = Date.now() + seconds * 1000;
  ring.classList.remove("is-running");
  ring.getBoundingClientRect(); // restarts the animation
  ring.style.setProperty("--ring-s", `${seconds}s`);
  ring.classList.add("is-running");
  const show = () => {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    if (text.textContent !== String(left)) text.textContent = String(left);
    if (left === 0) {
      window.clearInterval(timer);
      done();
    }
  };
  const timer = window.setInterval(show, 250);
  show();
  return () => window.clearInterval(timer);
}

let stopQuestion = () => {};
let idleTimer = 0;

function isIdleWatched() {
  const page = thisPage();
  return page && page.dataset.page !== "start" && !page.dataset.clearS;
}

/** Ask who is silent for long; `seconds` more while they listen. */
function watchIdle(seconds = 0) {
  window.clearTimeout(idleTimer);
  if (isIdleWatched() && !find("[data-idle]")?.open) {
    idleTimer = window.setTimeout(askIdle, (Number(body.dataset.idleS) + seconds) * 1000);
  }
}

function askIdle() {
  const dialog = find("[data-idle]");
  if (!dialog || pending !== null) return watchIdle();
  dialog.showModal();
  stopQuestion = runRing(dialog, IDLE_QUESTION_S, () => {
    dialog.close();
    startOver();
  });
  // Escape and the button both mean: still here.
  dialog.addEventListener(
    "close",
    () => {
      stopQuestion();
      watchIdle();
    },
    { once: true },
  );
  return undefined;
}

for (const name of ["pointerdown", "keydown", "wheel"]) {
  document.addEventListener(name, () => watchIdle(), { passive: true });
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-idle-stay]")) find("[data-idle]").close();
  if (event.target.closest("[data-idle-leave]")) {
    find("[data-idle]").close();
    startOver();
  }
  const again = event.target.closest("[data-print-again]");
  if (again) printBy(again, () => printSlip(thisPage(), newJob()));
});

/* --- The number: print once, then clear ----------------------------------------------------- */

let stopClearing = () => {};
let clearsAt = 0; // when the number goes, 0 while it stays
let readUntil = 0; // nobody's number goes while it is read to them

function startClearing(seconds) {
  stopClearing();
  const page = thisPage();
  const countdown = find("[data-countdown]", page);
  if (!page.dataset.clearS || !countdown) return;
  countdown.hidden = false;
  const least = Math.ceil((readUntil - Date.now()) / 1000);
  const left = Math.max(seconds ?? Number(page.dataset.clearS), least);
  const stop = runRing(countdown, left, startOver);
  clearsAt = Date.now() + left * 1000;
  stopClearing = () => {
    clearsAt = 0;
    stop();
  };
}

document.addEventListener("kiosk:reading", (event) => {
  const { seconds } = event.detail;
  readUntil = Date.now() + (seconds + AFTER_READING_S) * 1000;
  watchIdle(seconds);
  if (clearsAt > 0 && clearsAt < readUntil) startClearing(0);
});

async function showTicket(page) {
  const again = find("[data-print-again]", page);
  if (again) again.hidden = false;
  if (!page.hasAttribute("data-print")) return startClearing();
  await document.fonts.ready;
  // A page that was left before has printed nothing.
  if (!page.isConnected) return undefined;
  return printBy(again, () => printSlip(page, `first-print-${page.dataset.code}`));
}

/** By the clinic's printers where it has some; by this browser where they leave it to the page. */
async function printSlip(page, job) {
  const path = page.dataset.printAt;
  if (path) {
    stopClearing();
    showState(page, "printing");
  }
  const state = await printOnce(path, job, () => page.isConnected);
  if (!page.isConnected) return;
  showState(page, state);
  startClearing(state === "printed" ? undefined : UNPRINTED_S);
}

/* --- Each page ------------------------------------------------------------------------------ */

let entered = null;
let enteredAt = 0;
let refreshTimer = 0;

function enter() {
  const page = thisPage();
  if (!page || page === entered) return;
  const isFirst = entered === null;
  entered = page;
  enteredAt = Date.now();
  document.documentElement.lang = page.dataset.lang;
  connect(page.dataset.zone);
  window.clearTimeout(refreshTimer);
  stopClearing();
  readUntil = 0;
  stopQuestion();
  if (!isFirst) {
    window.scrollTo(0, 0);
    find("h1", page)?.focus({ preventScroll: true });
  }
  showConnection();
  enterPage(page);
  showLatest();
  watchIdle();
  if (page.dataset.clearS) showTicket(page);
  if (page.dataset.refreshS) {
    refreshTimer = window.setTimeout(startOver, Number(page.dataset.refreshS) * 1000);
  }
}

document.addEventListener("htmx:afterSettle", enter);
document.addEventListener("htmx:historyRestore", enter);
enter();
