/**
 * The kiosk's speaker: reads the page that is shown, where the clinic or this browser has a voice.
 *
 * The words stand in the page; how the clinic's announcers say them is asked for once somebody has
 * looked at it for a moment, and kept while this screen lives. Whoever taps then hears it at once.
 * A ticket's words are its own: they are made when somebody wants to hear them, where it is known
 * that there is a voice.
 */

import { askSound, decodeSounds, play, say, voiceFor } from "./voice.js";

const AFTER_MS = 500; // who taps on at once is not waited for
const ASK_TIMEOUT_MS = 12_000; // a few announcers, each with its own patience
const KEPT = 12;
const KEPT_MS = 600_000; // the clinic may change its voice
const SILENT_MS = 60_000; // an announcer that has none now is asked again
const LETTERS_PER_S = 12;

const find = (selector, root = document) => root.querySelector(selector);

let audio = null; // made with the first sound: not every clinic has one
const kept = new Map(); // language and words -> {sounds, until}, the latest last
const isVoiced = new Map(); // language -> whether the clinic's announcers had a sound last
let page = null;
let leaving = new AbortController(); // aborted when the page goes
let asked = null; // the sounds of this page, while the server makes them
let reading = null; // aborted when the reading ends

function words() {
  return page.dataset.aloud.replace(/\s+/g, " ").trim();
}

function keptSounds(key) {
  const found = kept.get(key);
  return found && found.until > Date.now() ? found.sounds : null;
}

function keep(key, sounds) {
  kept.delete(key);
  kept.set(key, { sounds, until: Date.now() + (sounds.length ? KEPT_MS : SILENT_MS) });
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

/** How the clinic's announcers say this page: kept, or asked for once; [] where they do not. */
function soundsOf(shown, signal) {
  if (!shown.dataset.aloudAt) return Promise.resolve([]);
  const known = keptSounds(`${shown.dataset.lang} ${words()}`);
  if (known) return Promise.resolve(known);
  asked ??= ask(shown, signal);
  return asked;
}

async function ask(shown, signal) {
  const { lang, aloudAt } = shown.dataset;
  const key = `${lang} ${words()}`;
  const patience = new AbortController();
  const giveUp = () => patience.abort();
  const limit = window.setTimeout(giveUp, ASK_TIMEOUT_MS);
  signal.addEventListener("abort", giveUp);
  const made = await askSound(aloudAt, { signal: patience.signal, priority: "low" });
  window.clearTimeout(limit);
  if (signal.aborted) return [];
  asked = null;
  if (made?.sound.length) audio ??= window.AudioContext ? new AudioContext() : null;
  const sounds = audio ? await decodeSounds(made, audio) : [];
  keep(key, sounds);
  isVoiced.set(lang, sounds.length > 0);
  return sounds;
}

function showButton() {
  const button = page && find("[data-speak]", page);
  if (!button) return;
  const { lang, aloudAt } = page.dataset;
  const isHeard = (aloudAt && isVoiced.get(lang)) || voiceFor(lang) !== null;
  button.hidden = !words() || !isHeard;
}

/** A page came: stop what was read, and find out whether there is a voice for this one. */
export function enterPage(shown) {
  stopReading();
  reading = null;
  leaving.abort();
  leaving = new AbortController();
  page = shown;
  asked = null;
  showButton();
  const isOwn = page.hasAttribute("data-aloud-own") && isVoiced.has(page.dataset.lang);
  if (!words() || isOwn) return;
  const { signal } = leaving;
  window.setTimeout(async () => {
    if (signal.aborted) return;
    await soundsOf(shown, signal);
    if (!signal.aborted) showButton();
  }, AFTER_MS);
}

function stopReading() {
  reading?.abort();
  if (reading) window.speechSynthesis?.cancel();
}

/** Tell how long it will be, seconds, so that the page stays until then; 0 when it is over. */
function tell(seconds) {
  document.dispatchEvent(new CustomEvent("kiosk:reading", { detail: { seconds } }));
}

async function readPage() {
  const button = find("[data-speak]", page);
  const own = new AbortController();
  const { signal } = own;
  const text = words();
  const voice = voiceFor(page.dataset.lang);
  reading = own;
  button.setAttribute("aria-pressed", "true");
  tell(text.length / LETTERS_PER_S);
  const sounds = await soundsOf(page, leaving.signal);
  if (sounds.length && !signal.aborted) {
    await audio.resume();
    tell(sounds.reduce((sum, one) => sum + one.duration, 0));
    for (const one of sounds) await play(audio, one, signal);
  } else if (voice && !signal.aborted) {
    await say(text, voice, (text.length / LETTERS_PER_S) * 3000);
  }
  button.setAttribute("aria-pressed", "false");
  if (reading !== own) return; // another began, or the page is gone
  reading = null;
  audio?.suspend();
  tell(0);
  showButton();
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-speak]")) return;
  if (reading) stopReading();
  else readPage();
});

window.speechSynthesis?.addEventListener?.("voiceschanged", showButton);
