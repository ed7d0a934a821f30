// Keeps a page live. Everything works without it, after a reload.
//  - parts marked data-live are taken anew from the same address;
//  - the log of a running job follows its events (SSE), resuming where the page ends.
"use strict";

async function refresh({ only } = {}) {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of document.querySelectorAll(only ?? "[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (next && next.outerHTML !== part.outerHTML) part.replaceWith(document.adoptNode(next));
  }
}

// A list is not shuffled under the mouse: what is new is announced, and shown on leaving.
function keepListFresh(everyMs) {
  setInterval(async () => {
    if (document.hidden) return;
    const list = document.querySelector("[data-poll]");
    const isPointedAt = list.matches(":hover") || list.contains(document.activeElement);
    const news = document.getElementById("news");
    if (isPointedAt) {
      await refresh({ only: "#gate, #tiles" });
      news.textContent = "The list waits while you point at it.";
    } else {
      await refresh();
    }
    news.hidden = !isPointedAt;
  }, everyMs);
}

function textOf(event) {
  const data = event.data;
  switch (event.event) {
    case "job.log":
      return data.stream === "log" && data.level ? `${data.level}: ${data.message ?? ""}` : (data.line ?? data.message ?? "");
    case "job.event":
      return `${data.name} ${JSON.stringify(data.data ?? {})}`;
    case "job.network": {
      const place = `${data.state} ${data.host}:${data.port}`;
      const carried = data.state === "carried" ? `, ${data.in_bytes} bytes in, ${data.out_bytes} out` : "";
      return place + carried + (data.why ? `: ${data.why}` : "");
    }
    case "job.phase":
      return `${data.phase} ${data.state}` + (data.duration_ms === undefined ? "" : ` after ${Math.round(data.duration_ms)} ms`);
    case "job.started":
      return `started on ${data.worker}`;
    case "job.unclaimed":
      return `waits again: on ${data.worker}, ${data.why}`;
    case "job.retried":
      return `queued again: ${data.why}`;
    case "job.cancelling":
      return "asked to stop";
    default:
      return `${data.state ?? ""}`;
  }
}

function streamOf(event) {
  if (event.event === "job.log") return event.data.stream ?? "stdout";
  if (event.event === "job.network") return "network";
  return event.event === "job.event" ? "event" : "fumehood";
}

function lineOf(event) {
  const line = document.createElement("li");
  const stream = streamOf(event);
  line.id = `L${event.seq}`;
  line.className = `line line-${stream}`;
  const number = Object.assign(document.createElement("a"), { className: "no", href: `#L${event.seq}`, textContent: event.seq });
  const time = Object.assign(document.createElement("time"), { textContent: event.at.slice(11, 19) });
  const kind = Object.assign(document.createElement("span"), { className: "stream", textContent: stream });
  const text = Object.assign(document.createElement("span"), { className: "text", textContent: textOf(event) });
  line.append(number, time, kind, text);
  return line;
}

const SHOWN = ["job.log", "job.event", "job.network", "job.phase", "job.started", "job.unclaimed", "job.retried", "job.cancelling", "job.finished"];
const REFRESHING = ["job.started", "job.unclaimed", "job.phase", "job.progress", "job.cancelling", "job.retried", "job.finished"];

function followLog(log) {
  const live = document.getElementById("live");
  const source = new EventSource(`/v1/jobs/${log.dataset.job}/events?after=${log.dataset.after}`);
  let refreshing = null;
  const refreshSoon = () => {
    refreshing ??= setTimeout(async () => { refreshing = null; await refresh(); }, 250);
  };
  source.onopen = () => { live.textContent = "live"; };
  source.onerror = () => { live.textContent = "reconnecting…"; };
  for (const name of new Set([...SHOWN, ...REFRESHING])) {
    source.addEventListener(name, (message) => {
      const event = JSON.parse(message.data);
      if (SHOWN.includes(name)) append(log, event);
      if (REFRESHING.includes(name)) refreshSoon();
      if (name === "job.finished") { source.close(); live.textContent = "ended"; }
    });
  }
}

function append(log, event) {
  const line = lineOf(event);
  line.hidden = !matches(line);
  log.append(line);
  if (document.getElementById("log-follow").checked) log.scrollTop = log.scrollHeight;
}

function matches(line) {
  const wanted = document.getElementById("log-filter").value.toLowerCase();
  return line.querySelector(".text").textContent.toLowerCase().includes(wanted);
}

function wireLog(log) {
  document.getElementById("log-wrap").addEventListener("change", (e) => log.classList.toggle("wrap", e.target.checked));
  document.getElementById("log-filter").addEventListener("input", () => {
    for (const line of log.children) line.hidden = !matches(line);
  });
  if ("follow" in log.dataset) followLog(log);
}

for (const field of document.querySelectorAll("[data-submits]")) {
  field.addEventListener("change", () => field.form.submit());
}
const log = document.getElementById("log");
if (log) wireLog(log);
if (document.querySelector("[data-poll]")) keepListFresh(3000);
