"use strict";
// The open dashboard: poll for new events, keep the reading position, count unseen events.
{
  const PAUSE = 1500, PAUSE_HIDDEN = 15000; // milliseconds; a hidden tab only counts new events
  const TOP = 56; // pixels that the header covers
  const MANY = 50; // the maximum in one answer: there may be more

  const articles = () => [...document.querySelectorAll("#feed article")];
  const inSight = (one) => {
    const box = one.getBoundingClientRect();
    return box.bottom > TOP && box.top < innerHeight;
  };

  // Polling
  let asked = Date.now();
  function ask() {
    const live = document.querySelector("#live[hx-get]");
    if (!live) return;
    asked = Date.now();
    htmx.trigger(live, "news");
  }
  setInterval(() => { if (!document.hidden || Date.now() - asked >= PAUSE_HIDDEN) ask(); }, PAUSE);
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.target.id === "timeline") event.preventDefault();
  });

  // Settings pages refresh the health of connectors.
  const PAUSE_HEALTH = 3000;
  function askHealth() {
    const one = document.querySelector("#watching[hx-get]");
    if (one && !document.hidden) htmx.trigger(one, "health");
  }
  setInterval(askHealth, PAUSE_HEALTH);
  document.addEventListener("visibilitychange", askHealth);
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
  function reading() {
    const first = articles()[0];
    if (first && first.getBoundingClientRect().top < TOP) return true;
    return articles().some((one) => (one.querySelector(":scope > details[open]") || one.contains(document.activeElement)) && inSight(one));
  }
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.target.id === "live" && reading()) event.detail.parameters.keep = "yes";
  });

  let before = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.requestConfig.elt.id !== "live") return;
    if (!event.detail.xhr.responseText) event.detail.shouldSwap = false; // nothing is new
    if (!event.detail.shouldSwap) return;
    const kept = reading() && articles().find((one) => one.getBoundingClientRect().bottom > TOP);
    before = { known: new Set(articles().map((one) => one.id)), kept: kept?.id, top: kept && kept.getBoundingClientRect().top };
  });
  document.addEventListener("htmx:afterSettle", () => {
    if (!before) return;
    const { known, kept, top } = before;
    before = null;
    const fresh = articles().filter((one) => !known.has(one.id)).length;
    const one = document.getElementById(kept);
    if (one) scrollBy(0, one.getBoundingClientRect().top - top);
    if (!fresh) return;
    if (document.hidden) missed(count + fresh);
    if (articles()[0].getBoundingClientRect().top < TOP) above(Number(newer()?.dataset.count ?? 0) + fresh);
    if (fresh >= MANY && kept) setTimeout(ask);
  });

  // Count events that arrived while the tab was hidden in its title.
  let count = 0;
  function missed(number) {
    count = number;
    const title = document.title.replace(/^\(\d+\) /, "");
    document.title = count ? `(${count}) ${title}` : title;
  }
  const seen = () => {
    if (document.hidden) return;
    missed(0);
    if (Date.now() - asked >= PAUSE) ask();
  };
  document.addEventListener("visibilitychange", seen);
  window.addEventListener("focus", seen);

  // Offer a button for events that arrived above the reading position.
  const newer = () => document.getElementById("newer");
  function above(number) {
    const button = newer();
    if (!button) return;
    button.dataset.count = number;
    button.hidden = !number;
    if (number) button.textContent = `${number} new change${number === 1 ? "" : "s"} ↑`;
  }
  document.addEventListener("click", (event) => {
    if (event.target !== newer()) return;
    scrollTo(0, 0);
    articles()[0]?.querySelector("summary").focus({ preventScroll: true });
    above(0);
  });
  document.addEventListener("scroll", () => {
    const first = articles()[0];
    if (newer()?.hidden === false && first && first.getBoundingClientRect().top >= TOP) above(0);
  }, { passive: true });
}
