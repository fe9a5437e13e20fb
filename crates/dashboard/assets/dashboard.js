// What makes pages handier, and nothing that any of them needs.
"use strict";

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(source);
      const selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}

const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60]];
const FAR = 30 * 86400;
const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
function tellAges(within) {
  for (const element of within.querySelectorAll("time[datetime]")) {
    const seconds = (Date.parse(element.dateTime) - Date.now()) / 1000;
    // What is far away is better told by its date.
    if (Math.abs(seconds) > FAR) continue;
    const step = STEPS.find(([, length]) => Math.abs(seconds) >= length);
    element.title = element.textContent;
    element.textContent = step
      ? format.format(Math.round(seconds / step[1]), step[0])
      : seconds > 0 ? "in a moment" : "just now";
  }
}

// Deliveries on their way: what the page says of them is asked for anew, less and less often, and not for ever.
const PAUSES = [1, 1, 1, 2, 2, 3, 5, 5, 10, 10, 20, 30];
async function follow(parts) {
  const shown = new Map(parts.map((part) => [part, part.innerHTML]));
  for (const pause of PAUSES) {
    if (!parts.some((part) => part.dataset.live === "pending")) return;
    await new Promise((over) => { setTimeout(over, pause * 1000); });
    let fresh;
    try {
      // A login that has ended leads elsewhere, which is an error here.
      const answer = await fetch(location.pathname + location.search, { redirect: "error" });
      if (!answer.ok) return;
      fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      return;
    }
    for (const part of parts) {
      const now = fresh.getElementById(part.id);
      if (!now || now.innerHTML === shown.get(part)) continue;
      shown.set(part, now.innerHTML);
      tellAges(now);
      part.dataset.live = now.dataset.live;
      part.replaceChildren(...now.childNodes);
    }
  }
}

follow([...document.querySelectorAll("[data-live]")]);
tellAges(document);

// A page shown again from memory after the log-out is asked for anew.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
