// What pages do by themselves: filter cards, copy, ask before what cannot be undone, and keep logs at their end.

document.addEventListener("input", (event) => {
  if (event.target.id !== "filter") return;
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const card of document.querySelectorAll(".card")) {
    const text = card.dataset.words.toLowerCase();
    card.hidden = !words.every((word) => text.includes(word));
  }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.copy) {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    const label = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  }
  if (button.dataset.confirm && !window.confirm(button.dataset.confirm)) event.preventDefault();
});

const followLogs = () => {
  for (const log of document.querySelectorAll("[data-follow]")) log.scrollTop = log.scrollHeight;
};
document.addEventListener("DOMContentLoaded", followLogs);
document.addEventListener("htmx:after:swap", followLogs);
followLogs();
