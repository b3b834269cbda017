"use strict";
// What htmx and plain HTML do not do by themselves: time zone, theme, keys, and keeping open what a person has opened.

const root = document.documentElement;

const remember = (name, value) => {
  document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax`;
};

// Times are rendered on the server, in the zone that the browser tells it.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const told = document.cookie.split("; ").find((one) => one.startsWith("zone="));
if (zone && root.dataset.zone !== zone && told !== `zone=${zone}`) {
  remember("zone", zone);
  if (document.cookie.includes("zone=") && !document.querySelector("form[method=post] [aria-invalid]")) location.reload();
}

const themeButton = document.getElementById("theme");
if (themeButton) {
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    remember("theme", root.dataset.theme);
  });
}

// Filters: a ticked box is applied at once; empty parameters stay out of the address.
document.addEventListener("change", (event) => {
  if (event.target.matches("#filter .auto")) event.target.form.requestSubmit();
});
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.elt.id !== "filter") return;
  const parameters = event.detail.parameters;
  for (const name of Object.keys(parameters)) if (parameters[name] === "") delete parameters[name];
});
document.addEventListener("click", (event) => {
  const dismiss = event.target.closest("[data-dismiss]");
  if (dismiss) dismiss.parentElement.remove();
  for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

// What a person has opened stays open, and what has the focus keeps it, when its surroundings are swapped.
let opened = [], focused = "";
document.addEventListener("htmx:beforeSwap", () => {
  focused = document.activeElement.id;
  opened = [...document.querySelectorAll("details[id][open], article[id] > details[open]")].map((one) => one.id || one.parentElement.id);
});
document.addEventListener("htmx:afterSettle", () => {
  for (const id of opened) {
    const one = document.getElementById(id);
    const details = one && (one.matches("details") ? one : one.querySelector(":scope > details"));
    if (details) details.open = true;
  }
  if (document.activeElement === document.body) document.getElementById(focused)?.focus({ preventScroll: true });
  tidyDays();
  const problem = document.querySelector("#problems, #conflict");
  if (problem && !problem.dataset.seen) {
    problem.dataset.seen = "yes";
    problem.focus();
  }
  hideToasts();
});

// Fragments bring the heading of their first day along; it is already there when the day goes on.
function tidyDays() {
  const seen = new Set();
  for (const heading of document.querySelectorAll("#feed > .day")) {
    if (seen.has(heading.dataset.day)) heading.remove();
    seen.add(heading.dataset.day);
  }
}

function hideToasts() {
  for (const toast of document.querySelectorAll(".toast:not(.bad):not([data-timed])")) {
    toast.dataset.timed = "yes";
    setTimeout(() => toast.remove(), 8000);
  }
}
hideToasts();

// A lost connection is said where "live" stands, and taken back when it is over.
const offline = (lost) => document.getElementById("live")?.classList.toggle("lost", lost);
document.addEventListener("htmx:sendError", () => offline(true));
document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) offline(false); });

// Leaving a form with unsaved input asks first.
let dirty = false;
document.addEventListener("input", (event) => {
  if (event.target.closest("[data-guard]") && !event.target.hasAttribute("hx-post")) dirty = true;
});
document.addEventListener("submit", (event) => { if (event.target.matches("[data-guard]")) dirty = false; });
document.addEventListener("click", (event) => { if (event.target.matches("[data-discard]")) dirty = false; });
document.addEventListener("htmx:afterRequest", (event) => {
  const { status } = event.detail.xhr;
  if (event.detail.requestConfig.elt.matches("[data-guard]")) dirty = status < 200 || status >= 400;
});
window.addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });

// Keys: j and k move, Enter opens (as it does on any summary), / searches, ? lists them.
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector(".menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
let pending = "";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  const lines = [...document.querySelectorAll("#feed article summary")].filter((one) => one.checkVisibility());
  const here = lines.indexOf(document.activeElement);
  const go = { gt: "/", gs: "/settings/integrations" }[pending + event.key];
  pending = event.key === "g" ? "g" : "";
  if (go) location.href = go;
  else if (event.key === "j") lines[Math.min(here + 1, lines.length - 1)]?.focus();
  else if (event.key === "k") lines[Math.max(here - 1, 0)]?.focus();
  else if (event.key === "/") {
    event.preventDefault();
    document.querySelector("input[type=search]")?.focus();
  } else if (event.key === "?") document.getElementById("keys").showModal();
});
