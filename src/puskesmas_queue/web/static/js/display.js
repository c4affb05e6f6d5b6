/**
 * The hall's TV: pages, clock, flash, running text, chime and voice.
 *
 * The picture comes from the server; this file turns its pages, and speaks where this screen is
 * the zone's speaker. Everything set here on live elements is set again after each morph.
 */

import { connectLive } from "./live.js";
import { askSound, decodeSounds, play, say, voiceFor } from "./voice.js";

const PAGE_MS = 8000;
const HEARTBEAT_MS = 5000;
const POST_TIMEOUT_MS = 4000;
const CHIME_WAIT_MS = 250; // a voice that is at hand has answered by then
const OWN_CHIME_WAIT_MS = 1200; // one that brings its own chime has answered or failed by then
const PICTURE_WAIT_MS = 1000;
const ANNOUNCING_LIMIT_MS = 25_000; // the server goes on then
const RUN_PX_PER_S = 110; // of 1920
const CAP_HEIGHT = 0.7; // of the type size
const CAP_ANGLE_DEG = 0.7; // EN 301 549, 5.1.4

const page = document.body;
const zone = page.dataset.zone;
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
const $ = (selector) => document.querySelector(selector);

// --- size ---------------------------------------------------------------------------------

/** Type size in CSS pixels that the last row can read on this panel. */
function neededSize() {
  const heightMm = (Number(page.dataset.panelInches) || 43) * 25.4 * (9 / Math.hypot(16, 9));
  const mmPerPixel = heightMm / window.innerHeight;
  const angle = (CAP_ANGLE_DEG * Math.PI) / 180;
  const capMm = (Number(page.dataset.distanceM) || 6) * 1000 * Math.tan(angle);
  return capMm / mmPerPixel / CAP_HEIGHT;
}

function setSizes() {
  const point = Math.min(window.innerWidth / 1920, window.innerHeight / 1080);
  const needed = neededSize();
  const isLarge = needed > 285 * point; // two counters no longer fit on one page
  const size = isLarge
    ? Math.min(needed * 1.05, 400 * point)
    : Math.min(Math.max(needed * 1.25, 230 * point), 285 * point);
  page.toggleAttribute("data-large", isLarge);
  document.documentElement.style.setProperty("--called", `${size.toFixed(1)}px`);
  showPages();
  run();
}

// --- pages --------------------------------------------------------------------------------

let turn = 0;
let turnTimer = 0;
let counterPage = 0;

function itemsOf(pager) {
  const items = [...pager.querySelectorAll(":scope > [data-item]")];
  if (pager.dataset.pager !== "counters" || items.length <= sizeOf(pager)) return items;
  // A closed counter takes no turn where there are more than fit.
  const working = items.filter((item) => item.dataset.state !== "closed");
  return working.length ? working : items;
}

function sizeOf(pager) {
  if (pager.dataset.pager === "counters" && page.hasAttribute("data-large")) return 1;
  return Number(pager.dataset.pageSize);
}

function showPages() {
  for (const pager of document.querySelectorAll("[data-pager]")) {
    const items = itemsOf(pager);
    const size = sizeOf(pager);
    const pages = Math.max(1, Math.ceil(items.length / size));
    const isCounters = pager.dataset.pager === "counters";
    const current = (isCounters ? counterPage : turn) % pages;
    // The last page is filled up from the one before: a lone number would jump about.
    const start = Math.max(0, Math.min(current * size, items.length - size));
    const shown = new Set(items.slice(start, start + size));
    for (const item of pager.querySelectorAll(":scope > [data-item]")) {
      const isNew = item.hidden && shown.has(item);
      item.hidden = !shown.has(item);
      if (isNew && !calm.matches) item.animate([{ opacity: 0 }, { opacity: 1 }], 320);
    }
    pager.toggleAttribute("data-paged", true);
    if (isCounters) showDots(pager, pages, current);
  }
}

function showDots(pager, pages, current) {
  const dots = pager.querySelector("[data-dots]");
  if (!dots) return;
  const count = pages > 1 ? pages : 0;
  while (dots.children.length > count) dots.lastChild.remove();
  while (dots.children.length < count) dots.append(document.createElement("i"));
  [...dots.children].forEach((dot, index) => dot.toggleAttribute("data-on", index === current));
}

function turnPages() {
  turn += 1;
  counterPage += 1;
  showPages();
}

function restartTurns() {
  window.clearInterval(turnTimer);
  turnTimer = window.setInterval(turnPages, PAGE_MS);
}

/** Bring a counter's page up at once and leave it there for a whole turn. */
function showCounter(panel) {
  const pager = panel.closest("[data-pager]");
  const index = itemsOf(pager).indexOf(panel);
  if (index < 0) return;
  counterPage = Math.floor(index / sizeOf(pager));
  restartTurns();
  showPages();
}

// --- a new call ---------------------------------------------------------------------------

let calls = null; // counter -> "number/calls", null before the first picture

function readCalls() {
  const found = new Map();
  for (const panel of document.querySelectorAll('.tv-counter[data-state="called"]')) {
    found.set(panel.dataset.counter, panel.dataset.call);
  }
  return found;
}

function flash(panel) {
  if (calm.matches) return; // the light panel and the frame say it without moving
  const frames = [0, 0.9, 0].map((width) => ({ boxShadow: `0 0 0 ${width}rem #2fb89f` }));
  // Once a second: far below what may harm (three flashes a second).
  panel.animate(frames, { duration: 1000, iterations: 4, easing: "ease-in-out" });
}

function afterUpdate() {
  const now = readCalls();
  const fresh = [];
  if (calls) {
    for (const [counter, call] of now) {
      if (calls.get(counter) !== call) fresh.push($(`#tv-counter-${counter}`));
    }
  }
  calls = now;
  showPages();
  markAnnouncing();
  for (const panel of fresh) {
    showCounter(panel);
    flash(panel);
    const where = panel.querySelector(".tv-counter-name").textContent.trim();
    $("[data-said]").textContent = `${panel.dataset.number}, ${where}`;
  }
  const source = $("[data-run-source]");
  if (source && source.textContent !== $("[data-run-text]").textContent) {
    $("[data-run-text]").textContent = source.textContent;
    run();
  }
}

// --- running text -------------------------------------------------------------------------

let running = null;
let isStopped = false;

/** Run only what does not fit: a line that can be read standing still stands still. */
function run() {
  running?.cancel();
  running = null;
  const box = $("[data-run]");
  const text = $("[data-run-text]");
  box.removeAttribute("data-wrap");
  const button = $("[data-run-stop]");
  const isTooLong = text.scrollWidth > box.clientWidth;
  button.hidden = !isTooLong || calm.matches;
  if (!isTooLong) return;
  if (calm.matches || isStopped) {
    box.setAttribute("data-wrap", "");
    return;
  }
  const way = box.clientWidth + text.scrollWidth;
  const speed = RUN_PX_PER_S * (window.innerWidth / 1920);
  running = text.animate(
    [
      { transform: `translateX(${box.clientWidth}px)` },
      { transform: `translateX(${-text.scrollWidth}px)` },
    ],
    { duration: (way / speed) * 1000, iterations: Infinity },
  );
}

function stopOrRun() {
  isStopped = !isStopped;
  const button = $("[data-run-stop]");
  button.setAttribute("aria-pressed", String(isStopped));
  button.setAttribute("aria-label", isStopped ? page.dataset.textPlay : page.dataset.textPause);
  run();
}

// --- sound --------------------------------------------------------------------------------

const hasSound = page.dataset.voice === "1" || page.dataset.chime === "1";
const audio = hasSound && window.AudioContext ? new AudioContext() : null;

function isAudible() {
  return audio?.state === "running";
}

function showSoundButton() {
  $("[data-sound]").hidden = !audio || isAudible();
}

async function wakeSound() {
  if (!audio || isAudible()) return;
  try {
    await audio.resume();
  } catch {
    // The browser still wants a click; the button stays.
  }
  showSoundButton();
  if (isAudible()) heartbeat();
}

function wait(ms) {
  return new Promise((done) => window.setTimeout(done, ms));
}

/** Two soft notes, a third apart, made here: no file to load or to lose. */
async function chime() {
  if (page.dataset.chime !== "1" || !isAudible()) return;
  const start = audio.currentTime + 0.02;
  [
    [659.25, 0],
    [523.25, 0.42],
  ].forEach(([pitch, after]) => {
    [
      [1, 0.32],
      [2, 0.07],
      [3, 0.03],
    ].forEach(([harmonic, loudness]) => {
      const tone = audio.createOscillator();
      const gain = audio.createGain();
      tone.frequency.value = pitch * harmonic;
      gain.gain.setValueAtTime(0, start + after);
      gain.gain.linearRampToValueAtTime(loudness, start + after + 0.015);
      gain.gain.exponentialRampToValueAtTime(0.0001, start + after + 1.1);
      tone.connect(gain).connect(audio.destination);
      tone.start(start + after);
      tone.stop(start + after + 1.15);
      tone.onended = () => gain.disconnect();
    });
  });
  await wait(1300);
}

/** How the clinic's announcers say a call; null where this browser's own voice speaks. */
function askCall(id) {
  if (!page.dataset.sounds || page.dataset.voice !== "1" || !isAudible()) return null;
  const signal = AbortSignal.timeout(POST_TIMEOUT_MS);
  return askSound(`${page.dataset.sounds}${id}`, { signal });
}

// --- announcements ------------------------------------------------------------------------

function screenId() {
  let id = sessionStorage.getItem("screen");
  if (!id) {
    id = [...crypto.getRandomValues(new Uint8Array(9))].map((byte) => byte.toString(36)).join("");
    sessionStorage.setItem("screen", id);
  }
  return id;
}

const screenName = screenId();
let screenMark = null; // what the server calls this screen when it names the speaker
let speech = { speaker: null, current: null };
let isSpeaking = false;
const handled = []; // ids, latest last

function post(path, fields) {
  return fetch(path, {
    method: "POST",
    body: new URLSearchParams({ zone, screen: screenName, ...fields }),
    signal: AbortSignal.timeout(POST_TIMEOUT_MS),
  });
}

async function heartbeat() {
  try {
    const answer = await post("/display/heartbeat", { voice: isAudible() ? "1" : "0" });
    if (answer.ok) screenMark = (await answer.json()).mark;
  } catch {
    // live.js says that the server is gone; the next heartbeat comes soon.
  }
  speak();
}

function markAnnouncing() {
  for (const panel of document.querySelectorAll(".tv-counter")) {
    const isCurrent =
      speech.current !== null &&
      panel.dataset.number === speech.current.number &&
      panel.dataset.counter === String(speech.current.counter);
    panel.toggleAttribute("data-announcing", isCurrent);
  }
}

/** This browser's own voice, where it may speak. */
function voiceOfPage(language) {
  return page.dataset.voice === "1" && isAudible() ? voiceFor(language) : null;
}

/** Wait until the hall sees the call: nobody is called before their number is there. */
function pictureOf({ number, counter }) {
  const isShown = () => $(`#tv-counter-${counter}`)?.dataset.number === number;
  if (isShown()) return null;
  return new Promise((done) => {
    const look = () => {
      if (isShown()) finish();
    };
    const limit = window.setTimeout(finish, PICTURE_WAIT_MS);
    function finish() {
      window.clearTimeout(limit);
      document.removeEventListener("live:updated", look);
      done();
    }
    document.addEventListener("live:updated", look);
  });
}

let hadOwnChime = false; // whether the voice brought a chime the last time

async function announce(current) {
  // The voice is made while the picture comes and the chime sounds, unless it brings its own.
  const asked = Promise.resolve(askCall(current.id));
  const decoded = asked.then((made) => decodeSounds(made, audio));
  await pictureOf(current);
  const patience = wait(hadOwnChime ? OWN_CHIME_WAIT_MS : CHIME_WAIT_MS);
  const early = await Promise.race([asked, patience]);
  if (!early?.has_chime) await chime();
  hadOwnChime = Boolean((await asked)?.has_chime);
  const isSilent = !voiceOfPage(current.language);
  let sounds = await decoded;
  // Who was too slow has it by now, or another one is asked: the hall should not hear a chime only.
  if (!sounds.length && isSilent) sounds = await decodeSounds(await askCall(current.id), audio);
  const limit = AbortSignal.timeout(ANNOUNCING_LIMIT_MS);
  for (const one of sounds) await play(audio, one, limit);
  const voice = sounds.length ? null : voiceOfPage(current.language);
  if (voice) {
    await say(current.number_text, voice);
    await say(current.direction_text, voice);
  }
  for (const pause of [0, 500, 2000]) {
    await wait(pause);
    try {
      const answer = await post("/display/spoken", { id: String(current.id) });
      if (answer.status < 500) return;
    } catch {
      // Tried again; without an answer the server goes on after 25 s.
    }
  }
}

/** Never two at once: what comes while one is spoken waits for its end. */
async function speak() {
  if (isSpeaking) return;
  isSpeaking = true;
  try {
    while (
      speech.current !== null &&
      speech.speaker !== null &&
      speech.speaker === screenMark &&
      !handled.includes(speech.current.id)
    ) {
      handled.push(speech.current.id);
      if (handled.length > 50) handled.shift();
      await announce(speech.current);
    }
  } finally {
    isSpeaking = false;
  }
}

document.addEventListener("live:speech", (event) => {
  speech = { current: null, speaker: null, ...event.detail };
  if (speech.current) {
    const panel = $(`#tv-counter-${speech.current.counter}`);
    if (panel?.dataset.number === speech.current.number) showCounter(panel);
  }
  markAnnouncing();
  if (speech.speaker === null) heartbeat(); // nobody is heard of any more: this screen may speak
  else speak();
});
document.addEventListener("live:updated", afterUpdate);
document.addEventListener("live:reload", (event) => {
  if (isSpeaking) event.preventDefault();
});

/** The last word of a screen that is closed: another one need not wait until it is missed. */
window.addEventListener("pagehide", () => {
  navigator.sendBeacon("/display/leave", new URLSearchParams({ zone, screen: screenName }));
});

// --- start --------------------------------------------------------------------------------

let mouseTimer = 0;
document.addEventListener("mousemove", () => {
  page.setAttribute("data-mouse", "");
  window.clearTimeout(mouseTimer);
  mouseTimer = window.setTimeout(() => page.removeAttribute("data-mouse"), 3000);
});
$("[data-run-stop]").addEventListener("click", stopOrRun);
$("[data-sound]").addEventListener("click", wakeSound);
document.addEventListener("pointerdown", wakeSound);
document.addEventListener("keydown", wakeSound);
audio?.addEventListener("statechange", showSoundButton);
calm.addEventListener("change", run);
window.addEventListener("resize", setSizes);
document.fonts?.ready.then(run);
window.speechSynthesis?.getVoices(); // some browsers load their voices at the first question

calls = readCalls();
setSizes();
restartTurns();
const newest = $(".tv-counter[data-newest]");
if (newest) showCounter(newest);
showSoundButton();
wakeSound();
heartbeat();
window.setInterval(heartbeat, HEARTBEAT_MS);
connectLive({ topics: [page.dataset.topic, `speech-${zone}`] });
