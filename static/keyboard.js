"use strict";
{
  // Keyboard shortcuts and the palette. templates/partials/shared/keys.html lists the keys.
  const ROWS = "#feed article > details > summary, .card h2 a, .card:not(:has(h2 a)) .card-text a, .figures tbody th a, .event-types tbody th a";
  const palette = document.getElementById("palette");
  const field = document.getElementById("palette-q");
  const visible = (element) => element.checkVisibility();

  // The rows of the page: events, cards of settings and lines of a report, in their order on the page.
  function rows() {
    const found = [...document.querySelectorAll(ROWS)].filter(visible);
    return found.filter((row, index) => {
      const card = row.closest(".card");
      return !card || card !== found[index - 1]?.closest(".card");
    });
  }
  function move(step) {
    const all = rows();
    const index = all.indexOf(document.activeElement);
    all[Math.min(Math.max(index + step, 0), all.length - 1)]?.focus();
  }
  function focusSearch() {
    const own = [...document.querySelectorAll("main input[type=search]")].find(visible);
    const box = own ?? [...document.querySelectorAll("input[type=search]")].find(visible);
    if (box) box.focus();
    else openPalette();
  }

  // Escape closes an open menu, or leaves a search box.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.target.closest("dialog")) return;
    const menu = document.querySelector(".menu[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    } else if (event.target.matches("input[type=search]:not(#q)")) {
      event.preventDefault();
      event.target.blur();
    }
  });

  let pending = "";
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && palette) {
      event.preventDefault();
      if (palette.open) palette.close();
      else openPalette();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.target.closest("input, textarea, select, dialog")) return;
    const go = { gt: "/", gs: "/settings/integrations" }[pending + event.key];
    pending = event.key === "g" ? "g" : "";
    if (go) location.href = go;
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "/") {
      event.preventDefault();
      focusSearch();
    } else if (event.key === "?") document.getElementById("keys").showModal();
  });

  // The palette: the server finds the places, arrow keys move between them, Enter goes to the first or the focused one.
  const found = () => document.getElementById("palette-found");
  const places = () => [...found().querySelectorAll("a")];
  const isCurrent = () => found().querySelector("[data-typed]")?.dataset.typed === field.value.trim();
  let goesWhenFound = false;
  function openPalette() {
    if (!palette) return;
    document.querySelector("dialog[open]")?.close();
    field.value = "";
    goesWhenFound = false;
    palette.showModal();
    htmx.trigger(field, "go");
  }
  if (palette) {
    for (const hint of document.querySelectorAll(".keys-hint")) hint.hidden = false;
    document.addEventListener("click", (event) => {
      if (event.target === palette) palette.close(); // outside of the dialog
      if (!event.target.closest("[data-palette]") || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      openPalette();
    });
    palette.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (isCurrent()) places()[0]?.click();
      else goesWhenFound = true;
    });
    field.addEventListener("input", () => { goesWhenFound = false; });
    document.addEventListener("htmx:afterSwap", (event) => {
      if (event.detail.target.id !== "palette-found" || !goesWhenFound || !isCurrent()) return;
      goesWhenFound = false;
      places()[0]?.click();
    });
    palette.addEventListener("keydown", (event) => {
      const links = places(), index = links.indexOf(document.activeElement);
      if (event.key === "ArrowDown") links[index < 0 ? Math.min(1, links.length - 1) : Math.min(index + 1, links.length - 1)]?.focus();
      else if (event.key === "ArrowUp") (index > 0 ? links[index - 1] : field).focus();
      else {
        if (index >= 0 && (event.key.length === 1 || event.key === "Backspace") && !event.ctrlKey && !event.metaKey) field.focus();
        return;
      }
      event.preventDefault();
    });
  }
}
