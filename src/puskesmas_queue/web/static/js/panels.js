/**
 * Panels of plugins: htmx loads `.panel-body` once it is on the page, and what its forms bring.
 *
 * A panel of a ticket whose facts are still on their way to the plugin is loaded again soon.
 *
 * Answers are morphed in, so that the focus stays where it was. A whole page never goes into a panel: it is
 * the answer to somebody whose session ended, or a plugin's mistake.
 */

const AGAIN_MS = [300, 700, 1500, 3000, 5000];

function panelOf(event) {
  const { target, elt } = event.detail;
  return (target ?? elt)?.closest?.(".panel-body") ?? null;
}

function showFailed(panel) {
  const text = document.createElement("p");
  text.className = "panel-failed";
  text.setAttribute("role", "status");
  text.textContent = panel.dataset.textFailed;
  panel.replaceChildren(text);
}

/** Somebody who types there keeps what was typed. */
function isTypedIn(panel) {
  return panel.contains(document.activeElement);
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const panel = panelOf(event);
  if (!panel || !event.detail.shouldSwap) return;
  // It was asked for before somebody began to type; what a form of its own brings is wanted.
  if (event.detail.requestConfig.elt === panel && isTypedIn(panel)) {
    event.detail.shouldSwap = false;
    return;
  }
  const html = event.detail.xhr.responseText;
  if (/^\s*<(!doctype|html)/i.test(html)) {
    event.detail.shouldSwap = false;
    showFailed(panel);
  } else if (globalThis.Idiomorph) {
    event.detail.shouldSwap = false;
    globalThis.Idiomorph.morph(panel, html, { morphStyle: "innerHTML" });
    globalThis.htmx.process(panel);
  }
});
document.addEventListener("htmx:afterRequest", (event) => {
  const panel = panelOf(event);
  if (!panel || event.detail.xhr?.getResponseHeader("x-panel-again") !== "1") return;
  const times = Number(panel.dataset.times ?? 0);
  panel.dataset.times = String(times + 1);
  if (times >= AGAIN_MS.length) return;
  window.setTimeout(() => {
    if (panel.isConnected && !isTypedIn(panel)) {
      globalThis.htmx.trigger(panel, "again");
    }
  }, AGAIN_MS[times]);
});
for (const name of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
  document.addEventListener(name, (event) => {
    const panel = panelOf(event);
    const status = event.detail.xhr?.status ?? 0;
    if (panel && (status === 0 || status >= 500)) showFailed(panel);
  });
}
