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
for (const element of document.querySelectorAll("time[datetime]")) {
  const seconds = (Date.parse(element.dateTime) - Date.now()) / 1000;
  // What is far away is better told by its date.
  if (Math.abs(seconds) > FAR) continue;
  const step = STEPS.find(([, length]) => Math.abs(seconds) >= length);
  element.title = element.textContent;
  element.textContent = step
    ? format.format(Math.round(seconds / step[1]), step[0])
    : seconds > 0 ? "in a moment" : "just now";
}

// A page shown again from memory after the log-out is asked for anew.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
