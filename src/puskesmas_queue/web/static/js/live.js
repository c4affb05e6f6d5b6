/**
 * The page's one live stream: topics, watchdog, clock of the clinic.
 *
 * A module that needs the stream calls `connectLive({topics})`. A page without a script of its
 * own includes this file and names its topics in `<body data-live-auto="day-main">`.
 *
 * What it does for the page:
 * - `[data-live="<topic>"]` is morphed with the topic's HTML, focus and open panels are kept;
 *   afterwards `live:updated` tells the topic and its elements.
 * - JSON topics arrive as `live:<kind>` on `document`, kind = the topic's first word.
 * - Without a beat for 4.5 s: `<html data-lost>`, `[data-lost]` elements are shown,
 *   `live:lost`; when the server is back they go away again, `live:back`.
 * - `[data-clock]` and `[data-since]` follow the clinic's clock, not the computer's.
 * - `gone`: the server ends the stream, since its session is over or its device was revoked. The
 *   page is empty from then on, and loads itself again where that leads elsewhere.
 * - A new asset version reloads pages with `<body data-reload>`; `live:reload` can be
 *   prevented while the page is in the middle of something, it is asked again at the next beat.
 */

const BEAT = "beat";
const GONE = "gone";
const SILENCE_MS = 4500; // two beats and a half; with the check after it the page says so within 5 s
const RETRY_MS = 1500; // with the check after it: a try at least every 2 s
const ASK_MS = 10_000;
const CHECK_MS = 250;
const MAX_ATTEMPTS = 2; // the older one may still answer where the network is slow
const JSON_KINDS = new Set(["kiosk", "phone", "speech"]);
const KEPT_ATTRIBUTES = new Set(["style", "open"]); // set by scripts and by people, not by the server

/** Milliseconds that the clinic's clock is ahead of this computer's, null before the first beat. */
let clockOffset = null;

/** The clinic's time in milliseconds since the epoch. */
export function clinicNow() {
  return Date.now() + (clockOffset ?? 0);
}

/** Whether the clinic's time is known yet. */
export function hasClinicTime() {
  return clockOffset !== null;
}

const secondListeners = new Set();

/** Call `listener(now)` at each full second of the clinic's clock; returns how to stop. */
export function onSecond(listener) {
  secondListeners.add(listener);
  return () => secondListeners.delete(listener);
}

let secondTimer = 0;

function tick() {
  window.clearTimeout(secondTimer);
  const now = clinicNow();
  if (hasClinicTime()) {
    showClocks(now);
    for (const listener of secondListeners) listener(now);
  }
  secondTimer = window.setTimeout(tick, 1000 - (now % 1000) + 5);
}

/** Write text only where it differs: a screen that runs for weeks should not lay out in vain. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const dateFormats = new Map();

function longDate(local) {
  // "id" and "en-GB" give "Kamis, 26 Februari 2026" and "Thursday, 26 February 2026".
  const lang = document.documentElement.lang === "en" ? "en-GB" : "id";
  if (!dateFormats.has(lang)) {
    const parts = { weekday: "long", day: "numeric", month: "long", year: "numeric", timeZone: "UTC" };
    dateFormats.set(lang, new Intl.DateTimeFormat(lang, parts));
  }
  const format = dateFormats.get(lang);
  const part = Object.fromEntries(format.formatToParts(local).map(({ type, value }) => [type, value]));
  return `${part.weekday}, ${part.day} ${part.month} ${part.year}`;
}

/** Indonesia has no summer time: the offset that the page came with holds. */
function showClocks(now) {
  for (const element of document.querySelectorAll("[data-clock]")) {
    const scope = element.closest("[data-utc-offset]");
    if (!scope) continue;
    const local = new Date(now + Number(scope.dataset.utcOffset) * 60_000);
    const kind = element.dataset.clock;
    if (kind === "date") setText(element, longDate(local));
    else setText(element, local.toISOString().slice(11, kind === "seconds" ? 19 : 16));
  }
  for (const element of document.querySelectorAll("[data-since]")) {
    const minutes = Math.max(0, Math.floor((now - Number(element.dataset.since)) / 60_000));
    setText(element, String(minutes));
  }
}

function kindOf(topic) {
  return topic.split("-", 1)[0];
}

function morph(element, html) {
  if (globalThis.Idiomorph) {
    globalThis.Idiomorph.morph(element, html, {
      morphStyle: "innerHTML",
      ignoreActiveValue: true,
      callbacks: {
        beforeAttributeUpdated: (name) => !KEPT_ATTRIBUTES.has(name),
        beforeNodeMorphed: (old) => !(old instanceof Element && old.hasAttribute("data-keep")),
      },
    });
  } else {
    element.innerHTML = html;
  }
  // Forms that came with the fragment get their htmx behaviour; known ones are left alone.
  globalThis.htmx?.process(element);
}

function tell(name, detail = {}, options = {}) {
  return document.dispatchEvent(new CustomEvent(name, { detail, ...options }));
}

/**
 * Open the page's stream and keep it open for as long as the page lives.
 *
 * @param {object} options
 * @param {string[]} options.topics
 * @param {(topic: string, data: string) => void} [options.onEvent] after the page was updated
 * @param {() => void} [options.onLost]
 * @param {() => void} [options.onBack]
 * @returns {{close: () => void, check: () => void}}
 */
export function connectLive({ topics, onEvent, onLost, onBack }) {
  const url = `/live/${topics.map(encodeURIComponent).join(",")}`;
  const shown = new Map(); // topic -> last HTML, so that a reconnect redraws nothing
  let attempts = []; // streams, newest last; only one once it has spoken
  let spoken = null;
  let lastSign = Date.now();
  let lastTry = 0;
  let lastAsked = 0;
  let isLost = false;
  let isClosed = false;
  let assets = null;
  let watchdog = 0;

  function drop(source) {
    source.close();
    attempts = attempts.filter((one) => one !== source);
    if (spoken === source) spoken = null;
  }

  /** EventSource's own pause between tries grows after failures: each try is a new one. */
  function connect() {
    lastTry = Date.now();
    while (attempts.length >= MAX_ATTEMPTS) drop(attempts[0]);
    const source = new EventSource(url);
    attempts.push(source);
    source.addEventListener("error", () => {
      if (isClosed || !attempts.includes(source)) return;
      const wasSpeaking = source === spoken;
      drop(source);
      // A stream that broke is tried again at once, a refused one at the next turn.
      if (wasSpeaking) connect();
      else askWhy();
    });
    source.addEventListener(BEAT, (event) => {
      heard(source);
      beat(event.data);
    });
    source.addEventListener(GONE, () => {
      document.body.hidden = true; // nothing that this page may not show any more stays
      lastAsked = 0;
      askWhy();
    });
    for (const topic of topics) {
      source.addEventListener(topic, (event) => {
        heard(source);
        receive(topic, event.data);
      });
    }
  }

  /** A refused stream may mean that the session is over: then the page leads to the login. */
  async function askWhy() {
    if (Date.now() - lastAsked < ASK_MS) return;
    lastAsked = Date.now();
    try {
      const answer = await fetch(window.location.href, { redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect" && !isClosed) window.location.reload();
    } catch {
      // The server is away; the next tries find it.
    }
  }

  function heard(source) {
    lastSign = Date.now();
    if (spoken !== source) {
      spoken = source;
      for (const other of attempts.slice()) if (other !== source) drop(other);
    }
    if (isLost) mark(false);
    document.body.hidden = false;
  }

  function beat(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (Number.isFinite(message.now)) {
      const offset = message.now - Date.now();
      const moved = clockOffset === null || Math.abs(offset - clockOffset) > 300;
      clockOffset = offset;
      if (moved) tick();
    }
    if (message.v !== undefined) {
      assets ??= message.v;
      if (assets !== message.v && document.body.hasAttribute("data-reload")) reload();
    }
  }

  let isReloading = false;

  /** Reload only while the server answers: an error page of the browser would stay for good. */
  async function reload() {
    if (isReloading || !tell("live:reload", {}, { cancelable: true })) return;
    isReloading = true;
    try {
      const answer = await fetch(window.location.href, { cache: "no-store" });
      if (answer.ok) window.location.reload();
    } catch {
      // Asked again at the next beat.
    } finally {
      isReloading = false;
    }
  }

  function receive(topic, data) {
    const kind = kindOf(topic);
    if (JSON_KINDS.has(kind)) {
      let value;
      try {
        value = JSON.parse(data);
      } catch {
        return;
      }
      tell(`live:${kind}`, value);
    } else if (shown.get(topic) !== data) {
      shown.set(topic, data);
      const elements = document.querySelectorAll(`[data-live="${CSS.escape(topic)}"]`);
      for (const element of elements) morph(element, data);
      if (hasClinicTime()) showClocks(clinicNow());
      tell("live:updated", { topic, kind, elements: [...elements] });
    }
    onEvent?.(topic, data);
  }

  function mark(lost) {
    isLost = lost;
    document.documentElement.toggleAttribute("data-lost", lost);
    // Inside the body only: <html data-lost> is the mark itself.
    for (const element of document.body.querySelectorAll("[data-lost]")) element.hidden = !lost;
    tell(lost ? "live:lost" : "live:back");
    (lost ? onLost : onBack)?.();
  }

  function watch() {
    const now = Date.now();
    if (now < lastSign) lastSign = now; // the computer's clock was set back
    const isSilent = now - lastSign > SILENCE_MS;
    if (isSilent && !isLost) mark(true);
    const isSpeaking = spoken !== null && !isSilent;
    if (!isSpeaking && Math.abs(now - lastTry) >= RETRY_MS) {
      if (spoken) drop(spoken);
      connect();
    }
  }

  /** Look at once, after sleep or when the network came back. */
  function check() {
    if (isClosed || document.visibilityState === "hidden") return;
    if (Date.now() - lastSign > RETRY_MS + CHECK_MS) {
      if (spoken) drop(spoken);
      connect();
    }
    watch();
    tick();
  }

  function start() {
    isClosed = false;
    lastSign = Date.now();
    connect();
    window.clearInterval(watchdog);
    watchdog = window.setInterval(watch, CHECK_MS);
  }

  function stop() {
    isClosed = true;
    window.clearInterval(watchdog);
    for (const source of attempts.slice()) drop(source);
  }

  const onShow = (event) => (event.persisted && isClosed ? start() : check());
  document.addEventListener("visibilitychange", check);
  window.addEventListener("online", check);
  window.addEventListener("pageshow", onShow);
  window.addEventListener("pagehide", stop); // a page kept for "back" holds no connection
  start();
  tick();

  return {
    check,
    close() {
      stop();
      document.removeEventListener("visibilitychange", check);
      window.removeEventListener("online", check);
      window.removeEventListener("pageshow", onShow);
      window.removeEventListener("pagehide", stop);
    },
  };
}

const auto = document.body?.dataset.liveAuto;
if (auto && !document.body.hasAttribute("data-live-started")) {
  document.body.setAttribute("data-live-started", "");
  connectLive({ topics: auto.split(",") });
}
