"use strict";
// Puts what is new into the page every five seconds, while somebody can see it.
const PAUSE = 5000;

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { cache: "no-store" });
  if (answer.redirected) return location.reload(); // to the login
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const parts = document.querySelectorAll("[data-live]");
  for (const part of parts) {
    const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
    if (!fresh) return location.reload();
    for (const open of part.querySelectorAll("details[open]")) fresh.querySelector(`#${open.id}`)?.setAttribute("open", "");
    // What a reader has selected or has the focus in stays as it is.
    const isInUse = part.contains(document.activeElement) || getSelection().containsNode(part, true);
    if (!isInUse && fresh.innerHTML !== part.innerHTML) part.innerHTML = fresh.innerHTML;
  }
}

setInterval(() => refresh().catch(() => {}), PAUSE);
