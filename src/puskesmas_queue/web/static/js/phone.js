/**
 * A ticket's own page: follows the line, and fetches its text anew when the ticket's state changed.
 *
 * Numbers in the line move here, from the zone's one small message that all phones share; what a
 * state means in words stands in the template only.
 */

import { connectLive } from "./live.js";

const NEAR = 3;
const ROUND_MIN = 5;
const AGAIN_MS = 3000;
const WAITING = new Set(["waiting", "confirmed"]);
const OVER = new Set(["completed", "cancelled", "expired", "no_show"]);
const title = document.title;

const find = (selector) => document.querySelector(selector);
const status = () => document.getElementById("status");

/** Minutes as domain rules, section 4, round them: to 5, at least 5 where there is any wait. */
function minutes(ahead, message) {
  const exact = (ahead * message.service_s) / message.open_counters / 60;
  return Math.max(ROUND_MIN, Math.round(exact / ROUND_MIN) * ROUND_MIN);
}

function estimate(ahead, message, texts) {
  if (message.open_counters < 1) return texts.noCounter;
  if (ahead === 0) return texts.soon;
  return texts.minutes.replace(/12[.,]?345/, String(minutes(ahead, message)));
}

function showPlace(ahead, message) {
  const texts = status().dataset;
  find("[data-ahead]").textContent = String(ahead);
  const wait = find("[data-estimate]");
  wait.textContent = estimate(ahead, message, texts);
  wait.classList.toggle("is-words", ahead === 0 || message.open_counters < 1);
  const progress = find("[data-progress]");
  progress.max = Math.max(progress.max, ahead);
  progress.value = progress.max - ahead;
  const advice = ahead === 0 ? "next" : ahead <= NEAR ? "near" : "far";
  for (const element of document.querySelectorAll("[data-advice]")) {
    element.hidden = element.dataset.advice !== advice;
  }
}

function showCalled(called) {
  const list = find("[data-called]");
  if (!list) return;
  const arrow = list.dataset.arrow ?? list.querySelector("use")?.getAttribute("href");
  if (arrow) list.dataset.arrow = arrow;
  list.replaceChildren(
    ...called.slice(0, 3).map(({ number, counter }) => {
      const item = document.createElement("li");
      const what = document.createElement("span");
      what.className = "number";
      what.textContent = number;
      const where = document.createElement("span");
      where.textContent = status().dataset.counterWord.replace("{n}", counter);
      item.append(what, arrow ? icon(arrow) : "→", where);
      return item;
    }),
  );
  list.hidden = called.length === 0;
  find("[data-called-none]").hidden = called.length > 0;
}

function icon(href) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", href);
  svg.append(use);
  return svg;
}

/** Say where the message sees this ticket: [state, counter]; "gone" where it does not. */
function placeIn(message, number) {
  const called = message.called.find((one) => one.number === number);
  if (called) return [called.state, String(called.counter)];
  if (message.order.includes(number)) return ["waiting", ""];
  return [message.closed[number] ?? "gone", ""];
}

let known = "";
let isFetching = false;

function follow(message) {
  const { number, state, counter } = status().dataset;
  if (OVER.has(state)) return;
  find("[data-live-mark]").hidden = false;
  const [nowState, nowCounter] = placeIn(message, number);
  const isAtCounter = nowCounter !== "";
  const isSame =
    nowState === "waiting"
      ? WAITING.has(state)
      : nowState === state && (!isAtCounter || nowCounter === counter);
  if (isSame) {
    known = "";
    if (WAITING.has(state)) {
      showPlace(message.order.indexOf(number), message);
      showCalled(message.called);
    }
    return;
  }
  const news = `${nowState} ${nowCounter}`;
  // What the page says now was asked for once already: an E ticket, say, is never in the line.
  if (news !== known) refresh(news);
}

async function refresh(news) {
  if (isFetching) return;
  isFetching = true;
  try {
    const answer = await fetch(window.location.href, { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("status");
    if (fresh) {
      known = news;
      status().replaceWith(fresh);
      enter();
    }
  } catch {
    // The stream tells when the server is back; until then the last state stays.
    window.setTimeout(() => refresh(news), AGAIN_MS);
  } finally {
    isFetching = false;
  }
}

function enter() {
  const { state, number, calledTitle } = status().dataset;
  document.title = state === "called" ? `${calledTitle} – ${number}` : title;
  if (state === "called" && navigator.userActivation?.hasBeenActive) {
    navigator.vibrate?.([400, 150, 400, 150, 800]); // refused before the first touch
  }
  const share = find("[data-share]");
  if (share) share.hidden = !navigator.share;
  if (OVER.has(state)) live.close();
}

document.addEventListener("live:phone", (event) => follow(event.detail));

document.addEventListener("click", (event) => {
  const share = event.target.closest("[data-share]");
  if (!share) return;
  const text = share.dataset.shareText;
  // Closing the share sheet rejects; that is no error.
  navigator.share({ title, text, url: window.location.href }).catch(() => {});
});

const live = connectLive({ topics: [document.body.dataset.topic] });
enter();
