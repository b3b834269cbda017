"use strict";
// The chart: tooltips on hover and focus, dragging to zoom into a range, arrow keys.
{
  const MOVED = 6; // pixels; a longer movement is a drag, not a click

  const tip = Object.assign(document.createElement("div"), { className: "tip" });
  tip.setAttribute("aria-hidden", "true"); // the links have the same accessible names
  const announcement = Object.assign(document.createElement("div"), { className: "hidden", ariaLive: "polite" });
  document.body.append(announcement);

  const bins = () => [...document.querySelectorAll("#timeline .chart a")];
  const counted = () => bins().filter((bin) => bin.hasAttribute("aria-label"));
  const binOf = (event) => event.target.closest?.("#timeline .chart a");

  // Sum the counts of consecutive bins.
  function describe(part) {
    const [first, last] = [part[0], part.at(-1)];
    const counts = new Map();
    for (const bar of part.flatMap((bin) => [...bin.querySelectorAll("[data-count]")])) {
      const row = counts.get(bar.dataset.label) ?? { colour: bar.getAttribute("class"), count: 0 };
      row.count += Number(bar.dataset.count);
      counts.set(bar.dataset.label, row);
    }
    const sum = (name) => part.reduce((total, bin) => total + Number(bin.dataset[name] ?? 0), 0);
    const total = [...counts.values()].reduce((sum, row) => sum + row.count, 0);
    const when = first === last ? first.dataset.when : `${first.dataset.from} – ${last.dataset.to}`;
    const unknown = part.some((bin) => bin.dataset.uncounted);
    const spoken = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
    const events = `${spoken(total, "event")}${unknown ? " or more" : ""}`;
    const failures = sum("failures") ? `, ${spoken(sum("failures"), "failure")}` : "";
    const period = first.closest("svg").dataset.earlier; // the compared period in words
    const earlier = period ? `, ${period} ${spoken(sum("earlier"), "event")}` : "";
    return { when, counts, total: (unknown && !total ? "not counted" : events + failures) + earlier };
  }

  const element = (name, text, className = "") => Object.assign(document.createElement(name), { textContent: text, className });

  function show(part) {
    const plot = part[0].closest(".plot");
    for (const bin of part) quiet(bin);
    const { when, counts, total } = describe(part);
    tip.replaceChildren(element("strong", when), element("span", total));
    for (const [label, { colour, count }] of counts) {
      const row = element("span", "", "row");
      const source = element("span", label, `source ${colour}`);
      source.prepend(document.createElement("i"));
      row.append(source, element("span", count.toLocaleString("en")));
      tip.append(row);
    }
    plot.append(tip);
    const [left, right] = [part[0].getBoundingClientRect().left, part.at(-1).getBoundingClientRect().right];
    const middle = (left + right - tip.offsetWidth) / 2 - plot.getBoundingClientRect().left;
    tip.style.left = `${Math.max(0, Math.min(middle, plot.clientWidth - tip.offsetWidth))}px`;
  }

  // Remove the browser's own tooltip, which would appear beside ours.
  function quiet(bin) {
    const title = bin.querySelector("title");
    if (!title) return;
    bin.dataset.when = title.textContent.split(": ")[0];
    title.remove();
  }

  // Highlight the bins of the range that is being selected.
  const between = (start, end) => bins().slice(Math.min(start, end), Math.max(start, end) + 1);
  function mark(part) {
    clear();
    const svg = part[0].closest("svg");
    const selection = document.createElementNS(svg.namespaceURI, "rect");
    const from = part[0].querySelector(".hit"), to = part.at(-1).querySelector(".hit");
    const edge = Number(from.getAttribute("x"));
    const values = { class: "selection", x: edge, y: 0, height: 100, width: Number(to.getAttribute("x")) + Number(to.getAttribute("width")) - edge };
    for (const [name, value] of Object.entries(values)) selection.setAttribute(name, value);
    svg.append(selection);
    show(part);
  }
  function clear() {
    document.querySelector("#timeline .selection")?.remove();
    tip.remove();
  }

  // Zooming adds a history entry, so that Back zooms out.
  function address(part) {
    const from = new URL(part[0].getAttribute("href"), location.href);
    const to = new URL(part.at(-1).getAttribute("href"), location.href);
    from.searchParams.set("end_date", to.searchParams.get("end_date"));
    return from.pathname + from.search;
  }
  async function zoom(part, byKey = false) {
    const to = address(part);
    clear();
    if (!document.getElementById("dashboard")) return location.assign(to);
    await htmx.ajax("GET", to, { target: "#dashboard", swap: "outerHTML", push: "true" });
    if (byKey) counted().at(-1)?.focus();
  }

  // Dragging with mouse, pen or touch.
  let drag = null, swallow = false;
  const under = (event) => {
    const all = bins(), box = all[0].closest("svg").getBoundingClientRect();
    const index = Math.floor(((event.clientX - box.left) / box.width) * all.length);
    return Math.max(0, Math.min(index, all.length - 1));
  };
  document.addEventListener("pointerdown", (event) => {
    const svg = event.isPrimary && event.button === 0 && event.target.closest?.("#timeline .chart");
    if (svg) drag = { svg, x: event.clientX, from: under(event), chosen: null, cancelled: false };
  });
  document.addEventListener("pointermove", (event) => {
    if (!drag) {
      const bin = event.pointerType === "mouse" && binOf(event);
      if (bin) show([bin]);
      else if (tip.isConnected && !binOf({ target: document.activeElement })) tip.remove();
      return;
    }
    if (drag.cancelled || (!drag.chosen && Math.abs(event.clientX - drag.x) < MOVED)) return;
    if (!drag.chosen) drag.svg.setPointerCapture(event.pointerId);
    drag.chosen = between(drag.from, under(event));
    mark(drag.chosen);
  });
  document.addEventListener("pointerup", () => {
    const { chosen, cancelled } = drag ?? {};
    drag = null;
    if (!chosen) return;
    swallow = true; // the click that follows
    setTimeout(() => { swallow = false; });
    if (!cancelled) zoom(chosen);
  });
  document.addEventListener("pointercancel", () => { drag = null; clear(); });
  document.addEventListener("mousedown", (event) => { if (event.target.closest?.("#timeline .chart")) event.preventDefault(); }); // no focus, no dragged link
  document.addEventListener("click", (event) => {
    const bin = binOf(event);
    if (swallow) event.preventDefault();
    if (swallow || !bin || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    zoom([bin], event.detail === 0);
  });

  // Do not replace the chart while someone drags over it.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (drag?.chosen && ["live", "timeline"].includes(event.detail.requestConfig.elt.id)) event.detail.shouldSwap = false;
  });

  // Keys: one tab stop, arrows move, Shift+arrow selects a range. `anchor` is the bin where the selection started.
  let anchor = "";
  const chosen = (bin) => between(bins().findIndex((bin) => bin.id === anchor), bins().indexOf(bin));
  function setTabStop(current) {
    for (const bin of counted()) bin.setAttribute("tabindex", bin === current ? "0" : "-1");
  }
  const updateTabStop = () => setTabStop(counted().find((bin) => bin === document.activeElement) ?? counted().at(-1));
  updateTabStop();
  document.addEventListener("htmx:afterSettle", updateTabStop);
  function visit(bin) {
    setTabStop(bin);
    if (anchor && !document.getElementById(anchor)) anchor = "";
    if (!anchor) {
      clear();
      return show([bin]);
    }
    mark(chosen(bin));
    const { when, total } = describe(chosen(bin));
    announcement.textContent = `${when}: ${total}`;
  }
  document.addEventListener("focusin", (event) => { if (binOf(event)) visit(binOf(event)); });
  document.addEventListener("focusout", (event) => {
    if (!binOf(event) || drag?.chosen) return;
    if (!binOf({ target: event.relatedTarget ?? document })) anchor = "";
    clear();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === " " && event.target.matches?.(".legend a")) {
      event.preventDefault();
      event.target.click();
    }
    if (event.key === "Escape") {
      if (drag) drag.cancelled = true;
      anchor = "";
      clear();
    }
    const bin = binOf(event), all = counted(), index = all.indexOf(bin);
    if (!bin || event.ctrlKey || event.metaKey || event.altKey) return;
    const next = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: all.length - 1 }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      anchor = event.shiftKey ? anchor || bin.id : "";
      if (all[next]) all[next].focus();
      else visit(bin);
    } else if (event.key === "Enter" && anchor) {
      event.preventDefault();
      const part = chosen(bin);
      anchor = "";
      zoom(part, true);
    }
  });
}
