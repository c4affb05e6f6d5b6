/**
 * The keys on the pairing page write into the field without a new page for each letter.
 *
 * The form is the same without this file. Nothing is sent until "Hubungkan" is pressed, or Enter.
 */

const form = document.querySelector("[data-pairing]");
const field = form?.querySelector("#code");

form?.addEventListener("click", (event) => {
  const key = event.target.closest?.("button[name=key]");
  if (!key) return;
  event.preventDefault();
  if (key.value === "erase") field.value = field.value.slice(0, -1);
  else if (field.value.length < Number(form.dataset.length)) field.value += key.value;
});

// A page kept for "back" must not show a code that was used.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});
