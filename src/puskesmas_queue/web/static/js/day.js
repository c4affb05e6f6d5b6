/** The page of the day: live figures and a print button. */

import { connectLive } from "./live.js";

const print = document.querySelector("[data-print]");
print.hidden = false;
print.addEventListener("click", () => window.print());
connectLive({ topics: [document.body.dataset.topic] });
