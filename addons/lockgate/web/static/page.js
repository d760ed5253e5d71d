// Keeps the page current: what changes is told by server-sent events, and the page is then looked at again. All of it
// works without this. Nothing here makes HTML of text.
"use strict";

(() => {
  const POLL = 15000; // milliseconds between two looks, where events do not come
  const SETTLE = 200; // milliseconds that changes are gathered
  const SOON = 60; // seconds

  const main = document.querySelector("main");
  const live = main.dataset.live;

  // Times count down by this machine's own clock, from what the gateway said was left.

  function span(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const two = (number) => String(number).padStart(2, "0");
    if (whole < 60) return `${whole}s`;
    if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
    if (whole < 86400) return `${Math.floor(whole / 3600)}h ${two(Math.floor(whole / 60) % 60)}m`;
    return `${Math.floor(whole / 86400)}d ${Math.floor(whole / 3600) % 24}h`;
  }

  const ends = new WeakMap();

  function tick() {
    for (const time of document.querySelectorAll("time[data-left]")) {
      if (!ends.has(time)) ends.set(time, performance.now() + Number(time.dataset.left) * 1000);
      const left = (ends.get(time) - performance.now()) / 1000;
      const text = span(left);
      if (time.textContent !== text) time.textContent = text;
      time.classList.toggle("soon", left < SOON);
    }
  }

  setInterval(tick, 1000);
  tick();

  if (live === undefined) return;

  // The page as it is now, part by part; the form only where something about it has changed.

  function take(fresh) {
    const focused = document.activeElement ? document.activeElement.id : "";
    for (const part of document.querySelectorAll("[data-part]")) {
      const other = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
      if (other === null || (part.dataset.is !== undefined && part.dataset.is === other.dataset.is)) continue;
      part.replaceWith(document.importNode(other, true));
    }
    const again = focused && document.getElementById(focused);
    if (again && again !== document.activeElement) again.focus({ preventScroll: true });
    document.title = fresh.title;
    tick();
  }

  function look() {
    const request = new XMLHttpRequest();
    request.open("GET", location.pathname);
    request.responseType = "document";
    request.onload = () => {
      const moved = new URL(request.responseURL).pathname !== location.pathname;
      if (moved) location.assign(request.responseURL); // signed out
      else if (request.status === 200 && request.response) take(request.response);
    };
    request.send();
  }

  let waiting = 0;

  function lookSoon() {
    clearTimeout(waiting);
    waiting = setTimeout(look, SETTLE);
  }

  const sign = document.getElementById("live");
  let polling = 0;

  function poll(on) {
    sign.textContent = on ? "Looked at every 15 seconds" : "Live";
    clearInterval(polling);
    polling = on ? setInterval(look, POLL) : 0;
  }

  function follow() {
    const events = new EventSource("/events");
    events.addEventListener("open", () => {
      poll(false);
      lookSoon(); // what changed before
    });
    events.addEventListener("changed", (event) => {
      if (live === "" || JSON.parse(event.data).id === live) lookSoon();
    });
    events.addEventListener("lost", lookSoon);
    events.addEventListener("error", () => {
      poll(true);
      if (events.readyState === EventSource.CLOSED) {
        look();
        setTimeout(follow, POLL);
      }
    });
  }

  follow();
})();
