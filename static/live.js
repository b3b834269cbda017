"use strict";
// The open dashboard: poll for new events, keep the reading position, count unseen events.
{
  const PAUSE = 1900, PAUSE_HIDDEN = 15000; // milliseconds: news within 2 s; a hidden tab only counts new events
  const MANY = 50; // the maximum in one answer: there may be more

  const covered = () => document.querySelector(".top").offsetHeight; // pixels behind the sticky header
  const articles = () => [...document.querySelectorAll("#feed article")];
  const isInView = (article) => {
    const box = article.getBoundingClientRect();
    return box.bottom > covered() && box.top < innerHeight;
  };

  // Polling
  let lastPoll = Date.now();
  function poll() {
    const live = document.querySelector("#live[hx-get]");
    if (!live) return;
    lastPoll = Date.now();
    htmx.trigger(live, "news");
  }
  setInterval(() => { if (!document.hidden || Date.now() - lastPoll >= PAUSE_HIDDEN) poll(); }, PAUSE);
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.target.id === "timeline") event.preventDefault();
  });

  // Settings pages refresh the health of connectors.
  const PAUSE_HEALTH = 3000;
  function pollHealth() {
    const watching = document.querySelector("#watching[hx-get]");
    if (watching && !document.hidden) htmx.trigger(watching, "health");
  }
  setInterval(pollHealth, PAUSE_HEALTH);
  document.addEventListener("visibilitychange", pollHealth);
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { requestConfig: { elt }, xhr } = event.detail;
    if (elt.id === "watching" && (!elt.isConnected || !xhr.responseText || xhr.status !== 200)) event.detail.shouldSwap = false;
  });

  // A signed-out browser is redirected to the sign-in page, unless the form has unsaved changes.
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const { xhr, requestConfig: { elt } } = event.detail;
    if (xhr.status !== 401 || !dirty || !["live", "watching"].includes(elt.id)) return;
    event.preventDefault();
    elt.removeAttribute("hx-get");
    const toast = document.createElement("div");
    toast.className = "toast bad";
    toast.textContent = "You are signed out. Copy your unsaved changes, then reload the page.";
    document.getElementById("toast").append(toast);
  });

  // Someone is reading if the page is scrolled down, or a visible event is open or has the focus.
  function isReading() {
    const first = articles()[0];
    if (first && first.getBoundingClientRect().top < covered()) return true;
    return articles().some((article) => (article.querySelector(":scope > details[open]") || article.contains(document.activeElement)) && isInView(article));
  }
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.target.id !== "live") return;
    if (isReading()) event.detail.parameters.keep = "yes";
    const older = document.getElementById("older"); // the events of the pages below it are not shown
    if (older) event.detail.parameters.oldest = new URL(older.href).searchParams.get("cursor");
  });

  let before = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.requestConfig.elt.id !== "live") return;
    if (!event.detail.xhr.responseText) event.detail.shouldSwap = false; // nothing is new
    if (!event.detail.shouldSwap) return;
    const moved = movedRows(event.detail.xhr.responseText);
    const isAnchor = (article) => article.getBoundingClientRect().bottom > covered() && !moved.some((row) => row.contains(article));
    const anchor = isReading() && articles().find(isAnchor);
    before = {
      ids: new Set(articles().map((article) => article.id)),
      anchorId: anchor?.id,
      top: anchor && anchor.getBoundingClientRect().top,
    };
    for (const row of moved) row.remove();
  });
  // A new event that belongs to shown ones comes with them, as one row: they leave their old place.
  function movedRows(html) {
    const ids = [...html.matchAll(/<article [^>]*\bid="(event-\d+)"/g)].map(([, id]) => id);
    return ids.map((id) => document.getElementById(id)).filter(Boolean);
  }
  document.addEventListener("htmx:afterSettle", () => {
    if (!before) return;
    const { ids, anchorId, top } = before;
    before = null;
    const fresh = articles().filter((article) => !ids.has(article.id)).length;
    const anchor = document.getElementById(anchorId);
    if (anchor) scrollBy(0, anchor.getBoundingClientRect().top - top);
    if (!fresh) return;
    if (document.hidden) showUnseen(count + fresh);
    if (articles()[0].getBoundingClientRect().top < covered()) offerNewer(Number(newer()?.dataset.count ?? 0) + fresh);
    if (fresh >= MANY && anchorId) setTimeout(poll);
  });

  // Count events that arrived while the tab was hidden in its title.
  let count = 0;
  function showUnseen(number) {
    count = number;
    const title = document.title.replace(/^\(\d+\) /, "");
    document.title = count ? `(${count}) ${title}` : title;
  }
  const seen = () => {
    if (document.hidden) return;
    showUnseen(0);
    if (Date.now() - lastPoll >= PAUSE) poll();
  };
  document.addEventListener("visibilitychange", seen);
  window.addEventListener("focus", seen);

  // Offer a button for events that arrived above the reading position.
  const newer = () => document.getElementById("newer");
  function offerNewer(number) {
    const button = newer();
    if (!button) return;
    button.dataset.count = number;
    button.hidden = !number;
    if (number) button.textContent = `${number} new event${number === 1 ? "" : "s"} ↑`;
  }
  document.addEventListener("click", (event) => {
    if (event.target !== newer()) return;
    scrollTo(0, 0);
    articles()[0]?.querySelector("summary").focus({ preventScroll: true });
    offerNewer(0);
  });
  document.addEventListener("scroll", () => {
    const first = articles()[0];
    if (newer()?.hidden === false && first && first.getBoundingClientRect().top >= covered()) offerNewer(0);
  }, { passive: true });
}
