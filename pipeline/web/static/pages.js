// Keeps an open page true: asks twice a second whether anything happened and, if so, puts the changed parts in place.
// Without it the page is complete and is renewed by loading it again.

const EVERY = 500; // milliseconds between two questions; an answer is to be seen within a second
const AFTER_TROUBLE = 5_000; // milliseconds, when the server could not be asked

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
    timer = setTimeout(look, delay);
  }
}

async function ask(address, accept) {
  const answer = await fetch(address, { headers: { accept }, cache: "no-store", signal: AbortSignal.timeout(10_000) });
  if (answer.status === 401 || answer.status === 403 || answer.redirected) {
    paused = true;
    say("Signed out: load the page again", true);
    return null;
  }
  if (!answer.ok) {
    throw new Error(String(answer.status));
  }
  return answer;
}

async function look() {
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
    delay = AFTER_TROUBLE;
    say("The server cannot be reached: these figures may be old", true);
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

// Details that were open stay open, and whoever is inside with the keyboard stays there.
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
  const within = now.contains(document.activeElement) ? place(now, document.activeElement) : null;
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

function place(section, element) {
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
