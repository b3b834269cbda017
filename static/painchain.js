"use strict";
// What htmx and plain HTML do not do: time zone, theme, search suggestions, and preserving open elements and focus.

const root = document.documentElement;

// Over HTTPS, cookies are bound to HTTPS and to this host.
const [bound, secure] = location.protocol === "https:" ? ["__Host-", "; secure"] : ["", ""];
const remember = (name, value) => {
  document.cookie = `${bound}${name}=${value}; path=/; max-age=31536000; samesite=lax${secure}`;
};

// The server renders times in the time zone that the browser reports. On the first visit it does not know the zone yet:
// only the content is fetched again, and only if it has times.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const zoneCookie = document.cookie.split("; ").find((cookie) => cookie.startsWith(`${bound}zone=`));
if (zone && root.dataset.zone !== zone && zoneCookie !== `${bound}zone=${zone}`) {
  remember("zone", zone);
  const shown = document.querySelector("main :is(time, .chart, [type=datetime-local], [type=month])");
  const isAnswerToForm = document.querySelector("form[method=post] [aria-invalid], [data-shown-once], #conflict");
  if (document.cookie.includes("zone=") && shown && !isAnswerToForm) document.addEventListener("DOMContentLoaded", showLocalTimes);
}
async function showLocalTimes() {
  // Meanwhile people use the page. A click is lost if the content is replaced while the button is down, and its answer
  // if the content is replaced before or after it: then the content is fetched once more. What is typed is kept.
  let isPressed = false, isTyped = false, isReplaced = false, requests = 0, isAsked = false;
  const isOurs = ({ detail }) => detail.requestConfig.headers["HX-History-Restore-Request"] === "true";
  const isOfPerson = (event) => !isOurs(event) && !["live", "timeline", "watching"].includes(event.detail.requestConfig.elt.id);
  document.addEventListener("pointerdown", () => { isPressed = true; }, true);
  for (const type of ["pointerup", "pointercancel"]) document.addEventListener(type, () => setTimeout(() => { isPressed = false; }), true);
  document.addEventListener("input", () => { isTyped = true; });
  document.addEventListener("htmx:beforeRequest", (event) => { if (isOfPerson(event)) { requests += 1; isAsked = true; } });
  document.addEventListener("htmx:afterRequest", (event) => { if (isOfPerson(event)) requests -= 1; });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!isOurs(event)) return;
    if (isPressed || isTyped || requests || isAsked) event.detail.shouldSwap = false;
    else isReplaced = true;
  });

  // As if restoring its history, htmx gets a whole page.
  const options = { target: "#main", select: "#main", swap: "outerHTML", headers: { "HX-History-Restore-Request": "true" } };
  while (!isReplaced && !isTyped) {
    isAsked = requests > 0; // its answer may come before that of this request, which does not know of it
    await htmx.ajax("GET", location.pathname + location.search, options);
    if (!isReplaced) await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
  root.dataset.zone = document.getElementById("main").dataset.zone;
  document.querySelector(".zone").textContent = root.dataset.zone;
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

// Filters: apply a ticked box immediately; leave empty parameters out of the address.
document.addEventListener("change", (event) => {
  if (event.target.matches("#filter .auto")) event.target.form.requestSubmit();
});
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.elt.id !== "filter") return;
  const parameters = event.detail.parameters;
  for (const name of Object.keys(parameters)) if (parameters[name] === "") delete parameters[name];
});
// Parts that are loaded when they are opened stay loaded while their surroundings are swapped.
document.addEventListener("htmx:configRequest", (event) => {
  const open = [...document.querySelectorAll(".menu[open][id]")].map((menu) => menu.id);
  if (open.length) event.detail.headers["Painchain-Open"] = open.join(" ");
});
// A box that narrows the choices of a long menu. It needs this script, so it is hidden until then.
function narrow(box) {
  const panel = box.parentElement, typed = box.value.trim().toLowerCase();
  for (const choice of panel.querySelectorAll(".choice")) choice.hidden = !choice.querySelector("label").textContent.toLowerCase().includes(typed);
  for (const group of panel.querySelectorAll(".choice-group")) group.hidden = !group.querySelector(".choice:not([hidden])");
  const absent = panel.querySelector(".absent");
  if (absent) {
    absent.hidden = !absent.querySelector(".choice:not([hidden])");
    if (typed) absent.open = true;
  }
  panel.querySelector(".no-choice").hidden = panel.querySelector(".choice:not([hidden])") !== null;
}
const narrowed = {};
function showNarrowBoxes() {
  for (const box of document.querySelectorAll(".narrow[hidden]")) {
    box.hidden = false;
    box.value = narrowed[box.id] ?? "";
    if (box.value) narrow(box);
  }
}
document.addEventListener("input", (event) => {
  if (!event.target.matches(".narrow")) return;
  narrowed[event.target.id] = event.target.value;
  narrow(event.target);
});
document.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target.matches(".narrow")) event.preventDefault(); });
document.addEventListener("toggle", (event) => {  // a menu that is opened again is complete
  const box = event.target.open ? null : event.target.querySelector?.(":scope > .panel > .narrow");
  if (!box) return;
  box.value = narrowed[box.id] = "";
  narrow(box);
}, true);
document.addEventListener("htmx:afterSettle", showNarrowBoxes);
showNarrowBoxes();
document.addEventListener("click", (event) => {
  const dismiss = event.target.closest("[data-dismiss]");
  if (dismiss) dismiss.parentElement.remove();
  for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

// Keep open elements and the focus when htmx swaps their surroundings.
let opened = [], focused = "", focusedRow = "";
document.addEventListener("htmx:beforeSwap", () => {
  focused = document.activeElement.id;
  focusedRow = document.activeElement.closest("article[id] > details > summary")?.closest("article").id;
  opened = [...document.querySelectorAll("details[id][open], article[id] > details[open]")].map((element) => element.id || element.parentElement.id);
});
document.addEventListener("htmx:afterSettle", () => {
  for (const id of opened) {
    const element = document.getElementById(id);
    const details = element && (element.matches("details") ? element : element.querySelector(":scope > details"));
    if (details && !details.open) unfold(details);
  }
  if (document.activeElement === document.body) (document.getElementById(focused) ?? summaryOf(focusedRow))?.focus({ preventScroll: true });
  tidyDays();
  const problem = document.querySelector("#problems, #conflict");
  if (problem && !problem.dataset.seen) {
    problem.dataset.seen = "yes";
    problem.focus();
  }
  hideToasts();
});

function unfold(details) {
  for (let outer = details; outer; outer = outer.parentElement.closest("details")) outer.open = true;
}
// An event can have moved into a folded group: then its row is that of the group.
function summaryOf(row) {
  let article = document.getElementById(row);
  while (article && !article.checkVisibility()) article = article.parentElement.closest("article");
  return article?.querySelector("summary");
}

// The address can name an event inside a group: open the group.
const named = document.getElementById(location.hash.slice(1))?.closest("details");
if (named) unfold(named);

// A fragment starts with a day heading; remove it below one of the same day. Remove a heading whose rows have all moved.
function tidyDays() {
  let day = "";
  for (const heading of document.querySelectorAll("#feed > .day")) {
    if (heading.dataset.day === day || !heading.nextElementSibling || heading.nextElementSibling.matches(".day, #older")) heading.remove();
    else day = heading.dataset.day;
  }
}

function hideToasts() {
  for (const toast of document.querySelectorAll(".toast:not(.bad):not([data-timed])")) {
    toast.dataset.timed = "yes";
    setTimeout(() => toast.remove(), 8000);
  }
}
hideToasts();

// Show a lost connection beside "live" until it is restored.
const setOffline = (isOffline) => document.getElementById("live")?.classList.toggle("lost", isOffline);
document.addEventListener("htmx:sendError", () => setOffline(true));
document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) setOffline(false); });

// A plain form shows that it is being saved, like one that htmx sends.
document.addEventListener("submit", (event) => {
  if (event.submitter?.matches("form:not([hx-post]) [data-busy]")) event.target.classList.add("saving");
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form.saving")) form.classList.remove("saving");
});

// Ask before leaving a form with unsaved changes.
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

// Ask before leaving a page that shows a secret once, until it was copied.
dirty = document.querySelector("[data-shown-once]") !== null;
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      if (!document.execCommand("copy")) return;
    }
    button.firstChild.data = "Copied";
    if (field.matches("[id$=secret]")) dirty = false;
  });
}

// The search box: arrows select a suggestion, Enter and Tab insert it, Escape closes the list.
const box = () => document.getElementById("q");
const offered = () => [...document.querySelectorAll("#suggestions:not([hidden]) [role=option]")];
function point(option) {
  for (const offer of offered()) offer.setAttribute("aria-selected", String(offer === option));
  if (option) box().setAttribute("aria-activedescendant", option.id);
  else box().removeAttribute("aria-activedescendant");
  option?.scrollIntoView({ block: "nearest" });
}
function closeSuggestions() {
  const list = document.getElementById("suggestions");
  if (!list || !box()) return;
  point(null);
  list.hidden = true;
  box().setAttribute("aria-expanded", "false");
}
function take(option) {
  const input = box(), caret = input.selectionStart;
  const before = input.value.slice(0, caret);
  const start = before.length - option.parentElement.dataset.typed.length;
  input.setRangeText(option.dataset.text, Math.max(start, 0), caret, "end");
  closeSuggestions();
  input.focus();
  if (!option.dataset.text.endsWith(" ")) htmx.trigger(input, "suggest");
}
document.addEventListener("focusin", (event) => {
  if (event.target.id !== "q" || !document.getElementById("suggestions")) return;
  const combobox = { role: "combobox", "aria-autocomplete": "list", "aria-controls": "suggestions", "aria-expanded": "false" };
  for (const [name, value] of Object.entries(combobox)) event.target.setAttribute(name, value);
});
document.addEventListener("focusout", (event) => { if (event.target.id === "q") closeSuggestions(); });
document.addEventListener("mousedown", (event) => {
  const option = event.target.closest("#suggestions [role=option]");
  if (event.target.closest("#suggestions")) event.preventDefault();
  if (option) take(option);
});
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.elt.id === "q") event.detail.parameters.q = box().value.slice(0, box().selectionStart);
});
// Ignore suggestions that arrive after the search was submitted or left.
let requestedText = "";
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt.id === "q") requestedText = box().value;
  else if (event.detail.elt.id === "filter") requestedText = "\0";
});
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id === "suggestions" && (document.activeElement !== box() || requestedText !== box().value)) event.detail.shouldSwap = false;
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.elt.id === "q" || event.detail.target.id === "suggestions") box()?.setAttribute("aria-expanded", String(offered().length > 0));
});
document.addEventListener("keydown", (event) => {
  if (event.target.id !== "q" || event.isComposing) return;
  const options = offered(), index = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
  if (event.key === "ArrowDown" && !options.length) htmx.trigger(event.target, "suggest");
  else if (event.key === "ArrowDown") point(options[(index + 1) % options.length]);
  else if (event.key === "ArrowUp" && options.length) point(options[index > 0 ? index - 1 : options.length - 1]);
  else if ((event.key === "Enter" || event.key === "Tab") && index >= 0) take(options[index]);
  else if (event.key === "Escape" && options.length) closeSuggestions();
  else if (event.key === "Escape") event.target.blur();
  else return;
  event.preventDefault();
});

// Copy the address with fixed times. If the clipboard is not available, open that address instead.
document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy-link");
  if (!button) return;
  const address = new URL(button.dataset.address, location.href);
  if (location.hash.startsWith("#event-")) address.hash = location.hash;
  try {
    await navigator.clipboard.writeText(address.href);
  } catch {
    const field = document.body.appendChild(Object.assign(document.createElement("textarea"), { value: address.href, className: "hidden" }));
    field.select();
    const isCopied = document.execCommand("copy");
    field.remove();
    if (!isCopied) return location.assign(address);
    button.focus();
  }
  button.firstChild.textContent = "Link copied";
});
