const form = document.getElementById("faults");
let shown = "";
let changes = 0; // so that an answer of before does not undo what was just switched

function fill(state) {
  document.getElementById("address").textContent = state.address;
  document.getElementById("state").textContent = state.waiting
    ? `${state.printed} lembar tercetak, ${state.waiting} byte menunggu.` : `${state.printed} lembar tercetak.`;
  for (const [name, value] of Object.entries({ ...state.faults, width_mm: String(state.width_mm) })) {
    const field = form.elements[name];
    if (field === document.activeElement) continue;
    if (typeof value === "boolean") field.checked = value; else field.value = value;
  }
  const now = state.slips.map((one) => one.number).join();
  if (now === shown) return;
  shown = now;
  document.getElementById("nothing").hidden = state.slips.length > 0;
  document.getElementById("slips").replaceChildren(...state.slips.map(slip));
}

function slip(one) {
  const item = document.createElement("li"), picture = document.createElement("img"), about = document.createElement("p");
  picture.src = `/slips/${one.number}.png`;
  picture.alt = `Lembar ${one.number}: ${one.text.replaceAll("\n", ", ")}`;
  const bytes = document.createElement("a");
  bytes.href = `/slips/${one.number}.bin`;
  bytes.textContent = "byte";
  about.append(`Lembar ${one.number}, ${new Date(one.at).toLocaleTimeString("id")}${one.is_cut ? "" : ", tidak terpotong"} · `, bytes);
  item.append(picture, about);
  for (const text of one.complaints) {
    const complaint = document.createElement("p");
    complaint.className = "complaint";
    complaint.textContent = text;
    item.append(complaint);
  }
  return item;
}

async function load(request) {
  const before = changes;
  try {
    const answer = await fetch(...request);
    if (answer.ok) {
      const state = await answer.json();
      if (changes === before) fill(state);
    }
    else document.getElementById("state").textContent = `Ditolak: ${await answer.text()}`;
  } catch {
    document.getElementById("state").textContent = "Simulator tidak berjalan.";
  }
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", (event) => {
  const { name, type, checked, value } = event.target;
  const wanted = type === "checkbox" ? checked : name === "paper" ? value : Number(value || 0);
  changes += 1;
  load(["/faults", { method: "POST", body: JSON.stringify({ [name]: wanted }) }]);
});
load(["/state"]);
setInterval(() => load(["/state"]), 1000);
