// Keeps an open page up to date: asks twice a second whether anything happened and, if so, replaces the sections that changed.
// Without this script the page is complete and is updated by loading it again.

const EVERY = 500; // milliseconds between two requests, so that an answer is visible within a second
const AFTER_ERROR = 5_000; // milliseconds, after a failed request

const FOLLOWING = "Live";

const live = document.getElementById("live");
const text = document.getElementById("live-text");
const button = document.getElementById("live-button");

let shown = document.body.dataset.version;
let paused = false;
let timer;

function say(message, lost = false) {
  if (text.textContent !== message) {
    text.textContent = message;
  }
  live.classList.toggle("lost", lost);
}

function follow(delay = EVERY) {
  clearTimeout(timer);
  if (!paused && !document.hidden) {
    timer = setTimeout(update, delay);
  }
}

async function ask(address, accept) {
  const answer = await fetch(address, { headers: { accept }, cache: "no-store", signal: AbortSignal.timeout(10_000) });
  if (answer.status === 401 || answer.status === 403 || answer.redirected) {
    paused = true;
    say("Signed out: reload the page", true);
    return null;
  }
  if (!answer.ok) {
    throw new Error(String(answer.status));
  }
  return answer;
}

async function update() {
  let delay = EVERY;
  try {
    const answer = await ask("/v1/version", "application/json");
    if (answer !== null) {
      const { version, processed } = await answer.json();
      if (`${version}.${processed}` !== shown) {
        await renew();
      }
      if (!paused) {
        say(FOLLOWING);
      }
    }
  } catch {
    delay = AFTER_ERROR;
    say("The server is unreachable: figures may be outdated", true);
  }
  follow(delay);
}

async function renew() {
  const answer = await ask(location.href, "text/html");
  if (answer === null) {
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const next of page.querySelectorAll("main section[id]")) {
    const now = document.getElementById(next.id);
    if (now === null) {
      document.getElementById("main").replaceChildren(...page.getElementById("main").childNodes);
      break;
    }
    replace(now, next);
  }
  shown = page.body.dataset.version;
}

// Open details stay open, and the keyboard focus stays where it is.
function replace(now, next) {
  for (const details of now.querySelectorAll("details[id][open]")) {
    const same = next.querySelector(`#${CSS.escape(details.id)}`);
    if (same !== null) {
      same.open = true;
    }
  }
  if (now.isEqualNode(next) || onlyFreshDiffers(now, next)) {
    return;
  }
  const within = now.contains(document.activeElement) ? focusIndex(now, document.activeElement) : null;
  next.classList.add("fresh");
  now.replaceWith(next);
  if (within !== null) {
    [...next.querySelectorAll("a, summary, button, input, select")][within]?.focus({ preventScroll: true });
  }
}

function onlyFreshDiffers(now, next) {
  if (!now.classList.contains("fresh")) {
    return false;
  }
  const copy = now.cloneNode(true);
  copy.classList.remove("fresh");
  if (copy.classList.length === 0) {
    copy.removeAttribute("class");
  }
  return copy.isEqualNode(next);
}

function focusIndex(section, element) {
  return [...section.querySelectorAll("a, summary, button, input, select")].indexOf(element);
}

button.addEventListener("click", () => {
  paused = !paused;
  button.setAttribute("aria-pressed", String(paused));
  say(paused ? "Paused" : FOLLOWING);
  follow(0);
});
document.addEventListener("visibilitychange", () => follow(0));

live.hidden = false;
say(FOLLOWING);
follow();
