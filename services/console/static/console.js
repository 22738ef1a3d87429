// Behaviour that HTML and htmx do not have: ages that count, keys, details that stay open while rows are replaced.
(() => {
  "use strict";

  const words = (seconds) => {
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} m ${s % 60} s`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} m`;
    return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
  };
  const showAges = () => {
    for (const time of document.querySelectorAll("time[data-age]")) {
      const text = words((Date.now() - Date.parse(time.dateTime)) / 1000);
      if (time.textContent !== text) time.textContent = text;
    }
  };
  setInterval(showAges, 1000);
  showAges();

  // Rows come whole from the server; what the operator opened stays open.
  let open = [];
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    // The page no longer shows what it arrived with: a new connection must not say so.
    const list = event.target.closest("[sse-connect]");
    const url = list.getAttribute("sse-connect");
    list.setAttribute("sse-connect", url.replace(/([?&]seen=)[^&]*/, "$1"));
    open = [...document.querySelectorAll("details[data-details][open]")].map((details) => details.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of open) {
      const details = document.getElementById(id);
      if (details) details.open = true;
    }
    showAges();
  });

  const live = (text, tone) => {
    for (const mark of document.querySelectorAll("[data-live]")) {
      mark.textContent = text;
      mark.dataset.tone = tone;
    }
  };
  document.addEventListener("htmx:sseOpen", () => live("live", "good"));
  document.addEventListener("htmx:sseError", () => live("reconnecting", "warn"));
  document.addEventListener("htmx:sseClose", () => live("not live", "warn"));

  const typing = (element) => element.closest("input, select, textarea, [contenteditable]");
  const rows = () => [...document.querySelectorAll("[data-row] [data-open]")];
  const step = (by) => {
    const all = rows();
    if (!all.length) return;
    const row = document.activeElement.closest("[data-row]");
    const at = row ? all.findIndex((link) => row.contains(link)) : by > 0 ? -1 : all.length;
    const next = all[Math.min(all.length - 1, Math.max(0, at + by))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };
  const toggle = () => {
    const details = document.activeElement.closest("[data-row]")?.querySelector("details");
    if (details) details.open = !details.open;
  };
  const pages = { e: "/exits", b: "/book", o: "/outbox", s: "/system" };
  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const dialog = document.getElementById("keys");
    if (!dialog || dialog.open) return;
    const key = event.key;
    if (Date.now() - going < 1200 && pages[key]) {
      location.assign(pages[key]);
      return;
    }
    going = 0;
    const act = {
      g: () => { going = Date.now(); },
      "/": () => document.getElementById("find").focus(),
      f: () => document.querySelector("[data-first-filter]")?.focus(),
      j: () => step(1),
      k: () => step(-1),
      x: toggle,
      "?": () => dialog.showModal(),
    }[key];
    if (act) {
      event.preventDefault();
      act();
    }
  });
})();
