/**
 * The counter page: keys, the centre that follows its counter, and the alarm.
 *
 * Everything here also works as plain forms; this file makes it quick.
 */

import { clinicNow, connectLive, onSecond } from "./live.js";

const KEYS = new Set(["F2", "F3", "F4", "F6", "F10", "F12", "End"]);

const page = document.body;
const $ = (selector) => document.querySelector(selector);
const desk = $("#lk-desk");

// --- messages -----------------------------------------------------------------------------

/** Tell screen readers what happened, without moving the focus. */
function say(text) {
  const status = $("[data-said]");
  if (status) status.textContent = text;
}

/** Show an alert of the page's own above the ticket, where the server's refusals stand too. */
function showAlert(title, detail) {
  if (!desk) return;
  document.querySelector("#lk-error")?.remove();
  const box = document.createElement("div");
  box.className = "lk-message lk-error";
  box.id = "lk-error";
  box.setAttribute("role", "alert");
  box.tabIndex = -1;
  const heading = document.createElement("h2");
  heading.textContent = title;
  const text = document.createElement("p");
  text.textContent = detail;
  const words = document.createElement("div");
  words.append(heading, text);
  box.append(words);
  desk.prepend(box);
  box.focus();
}

function focusMessage(root) {
  root.querySelector("[data-focus]")?.focus();
}

// --- keys ---------------------------------------------------------------------------------

function keyOf(event) {
  if (event.ctrlKey && event.key === "Enter") return "End";
  if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return null;
  return KEYS.has(event.key) ? event.key : null;
}

function isTyping(target) {
  return target instanceof HTMLElement && target.closest("input, textarea, select") !== null;
}

document.addEventListener("keydown", (event) => {
  const key = keyOf(event);
  // In a text field End and Ctrl+Enter belong to the field.
  if (key === null || (key === "End" && isTyping(event.target))) return;
  const button = $(`[data-key="${key}"]`);
  // Chromium uses some of these keys itself: taken whether or not the button is there now.
  event.preventDefault();
  if (event.repeat || !button) return;
  if (button.disabled) {
    const why = button.getAttribute("aria-describedby");
    const text = why ? document.getElementById(why)?.textContent.trim() : "";
    say(`${page.dataset.textNotNow} ${button.querySelector("span")?.textContent ?? ""}, ${text}`);
    return;
  }
  button.form.requestSubmit(button);
});

// --- seconds until a number may be called again ---------------------------------------------

function countDown(now) {
  for (const button of document.querySelectorAll("[data-ready-at]")) {
    const left = Math.ceil((Number(button.dataset.readyAt) - now) / 1000);
    const why = document.getElementById(button.getAttribute("aria-describedby"));
    if (left > 0) {
      if (why) why.textContent = why.dataset.countdown.replace(/\d+/, String(left));
    } else {
      button.disabled = false;
      button.removeAttribute("data-ready-at");
      if (why) why.textContent = "";
    }
  }
}

// --- the centre follows its counter ---------------------------------------------------------

let isFetching = false;
let isSending = false;
let sent = 0; // requests of this page, so that an older answer never covers a newer one

function shownSignature() {
  return $("#lk-desk-state")?.dataset.signature;
}

function liveSignature() {
  return $(`.lk-counters [data-counter="${page.dataset.counter}"]`)?.dataset.signature;
}

function isOpenForm(node) {
  return node instanceof HTMLDetailsElement && node.open;
}

/** A plugin's panel about the same ticket stays as it was loaded, with what was typed there. */
function isSamePanel(old, fresh) {
  return old instanceof Element && old.matches(".plugin-panel") && old.id === fresh.id;
}

/** What htmx does for a panel is the panel's own affair (panels.js): the counter goes on. */
function isOfPanel(event) {
  const element = event.detail.requestConfig?.elt ?? event.detail.elt;
  return element instanceof Element && element.closest(".plugin-panel") !== null;
}

/** Put a part of the page in its place; after a refusal what was typed stays as it is. */
function put(element, html, isRefusal = false) {
  if (globalThis.Idiomorph) {
    globalThis.Idiomorph.morph(element, html, {
      morphStyle: "innerHTML",
      ignoreActiveValue: true,
      callbacks: {
        beforeNodeMorphed: (old, fresh) =>
          !(isRefusal && isOpenForm(old)) && !isSamePanel(old, fresh),
      },
    });
  } else {
    element.innerHTML = html;
  }
  globalThis.htmx?.process(element);
}

/** Fetch the centre when the stream says that this counter stands differently than shown. */
async function follow() {
  if (!desk || isFetching || isSending) return;
  const live = liveSignature();
  if (live === undefined || live === shownSignature()) return;
  const sentBefore = sent;
  isFetching = true;
  try {
    const answer = await fetch("/loket/current", {
      headers: { "HX-Request": "true" },
      cache: "no-store",
    });
    const elsewhere = answer.headers.get("HX-Redirect");
    if (elsewhere) window.location.assign(elsewhere);
    else if (answer.ok) {
      const html = await answer.text();
      if (sent === sentBefore) showCentre(html);
    }
  } catch {
    // live.js says that the server is gone; the next event asks again.
  } finally {
    isFetching = false;
  }
  // What happened meanwhile found this one at work.
  if (sent !== sentBefore || liveSignature() !== live) follow();
}

function showCentre(html) {
  const before = $("#lk-desk-state")?.dataset.say;
  put(desk, html);
  const now = $("#lk-desk-state")?.dataset.say;
  if (now !== before) say(now);
}

const side = $("#lk-side");
let chosenAt = null; // where the chosen ticket stood: "<id> row", "<id> away" or "<id> gone"

/** Show the chosen ticket anew when it moved in the list, unless somebody types there. */
async function followChosen(isChanged = false) {
  const panel = side?.querySelector("[data-chosen]");
  if (!panel) {
    chosenAt = null;
    return;
  }
  const id = panel.dataset.chosen;
  const place = ["row", "away"].find((one) => document.getElementById(`lk-${one}-${id}`)) ?? "gone";
  const before = chosenAt;
  chosenAt = `${id} ${place}`;
  const isSame = before === null || before === chosenAt || !before.startsWith(`${id} `);
  if (!isChanged && (isSame || [...panel.querySelectorAll("details")].some(isOpenForm))) return;
  try {
    const headers = { "HX-Request": "true" };
    const answer = await fetch(`/loket/tickets/${id}`, { headers, cache: "no-store" });
    if (answer.ok && !answer.headers.get("HX-Redirect")) put(side, await answer.text());
  } catch {
    // The next event asks again.
  }
}

function markOwn() {
  for (const row of document.querySelectorAll(".lk-counters [data-counter]")) {
    row.toggleAttribute("data-mine", row.dataset.counter === page.dataset.counter);
  }
}

// --- htmx ---------------------------------------------------------------------------------

document.addEventListener("htmx:beforeRequest", (event) => {
  if (isOfPanel(event)) return;
  isSending = true;
  sent += 1;
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (isOfPanel(event)) return;
  isSending = false;
  follow();
});
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, target, shouldSwap } = event.detail;
  if (!shouldSwap || !target || target.closest(".plugin-panel")) return;
  event.detail.shouldSwap = false;
  const html = xhr.responseText;
  if (/^\s*<!doctype/i.test(html)) {
    // A whole page where a part was asked for: the session is over, or the screen is locked.
    window.location.reload();
    return;
  }
  const isRefusal = xhr.status >= 400;
  put(target, html, isRefusal);
  focusMessage(target);
  if (!isRefusal && side?.contains(event.detail.requestConfig.elt)) followChosen(true);
  if (target === desk) say($("#lk-desk-state")?.dataset.say ?? "");
});
for (const name of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
  document.addEventListener(name, (event) => {
    const status = event.detail.xhr?.status ?? 0;
    if (isOfPanel(event)) return;
    if (status === 0 || status >= 500) {
      showAlert(page.dataset.textFailed, page.dataset.textFailedDetail);
    }
  });
}

// --- emergency ------------------------------------------------------------------------------

const known = new Set();
const title = document.title;
let audio = null;

/** Three rising notes; silent until somebody touched the page, which staff have. */
function alarm() {
  try {
    audio ??= new AudioContext();
    const start = audio.currentTime + 0.05;
    [0, 0.28, 0.56, 1.3, 1.58, 1.86].forEach((after, index) => {
      const tone = audio.createOscillator();
      const gain = audio.createGain();
      tone.frequency.value = [660, 770, 880][index % 3];
      gain.gain.setValueAtTime(0, start + after);
      gain.gain.linearRampToValueAtTime(0.3, start + after + 0.02);
      gain.gain.exponentialRampToValueAtTime(0.0001, start + after + 0.26);
      tone.connect(gain).connect(audio.destination);
      tone.start(start + after);
      tone.stop(start + after + 0.28);
      tone.onended = () => gain.disconnect();
    });
  } catch {
    // Without sound the red bar and the title remain.
  }
}

function watchEmergencies(isFirst) {
  const bars = [...document.querySelectorAll("[data-emergency]")];
  let isNew = false;
  for (const bar of bars) {
    if (known.has(bar.dataset.emergency)) continue;
    known.add(bar.dataset.emergency);
    isNew = true;
    bar.setAttribute("data-fresh", "");
  }
  if (isNew && !isFirst) alarm();
  document.title = bars.length ? `${page.dataset.textEmergency}! ${title}` : title;
}

// --- lock -----------------------------------------------------------------------------------

const LOCK_CHECK_MS = 10_000;
const lockAfterMs = Number(page.dataset.lockMinutes) * 60_000;
let lastTouch = Date.now();

/** Lock the screen of a counter that nobody touched; the server has the last word on sessions. */
function lockWhenIdle() {
  const button = $('[data-key="F12"]');
  if (button && lockAfterMs > 0 && Date.now() - lastTouch > lockAfterMs) {
    lastTouch = Date.now(); // once; the next try comes after another such pause
    button.form.requestSubmit(button);
  }
}

for (const name of ["pointerdown", "pointermove", "keydown", "wheel"]) {
  document.addEventListener(name, () => (lastTouch = Date.now()), { passive: true });
}
window.setInterval(lockWhenIdle, LOCK_CHECK_MS);

// --- start ----------------------------------------------------------------------------------

focusMessage(document);
onSecond(countDown);
if (page.dataset.topic) {
  document.addEventListener("live:updated", () => {
    markOwn();
    watchEmergencies(false);
    follow();
    followChosen();
    countDown(clinicNow());
  });
  document.addEventListener("live:back", follow);
  markOwn();
  watchEmergencies(true);
  connectLive({ topics: [page.dataset.topic] });
}
