// Keeps an open page up to date: asks twice a second whether anything happened and, if so, replaces the sections that changed.
// Without this script the page is complete and is updated by loading it again.

const EVERY = 500; // milliseconds between two requests, so that an answer is visible within a second
const AFTER_ERROR = 5_000; // milliseconds, after a failed request, and while a form waits to be sent

const FOLLOWING = "Live";
const WAITING = "Live: a change waits for your form";
const FOCUSABLE = "a, summary, button, input, select, textarea";

const live = document.getElementById("live");
const text = document.getElementById("live-text");
const button = document.getElementById("live-button");

let shown = document.body.dataset.version;
let paused = false;
let waiting = false;
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
        say(waiting ? WAITING : FOLLOWING);
      }
      if (waiting) {
        delay = AFTER_ERROR;
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
  const main = document.getElementById("main");
  const newMain = page.getElementById("main");
  let complete = true;
  steadily(main, () => {
    if (ids(main).join() === ids(newMain).join()) {
      for (const next of sections(newMain)) {
        complete = replace(document.getElementById(next.id), next) && complete;
      }
    } else if (sections(main).some(isTyped)) {
      complete = false;
    } else {
      replaceAll(main, newMain);
    }
  });
  waiting = !complete;
  if (complete) {
    shown = page.body.dataset.version;
  }
}

// What one reads stays where it is: the page scrolls by as much as what is above has grown or shrunk.
function steadily(main, change) {
  const read = scrollY > 0 ? sections(main).find((section) => section.getBoundingClientRect().bottom > 0) : undefined;
  const inner = read && [...read.querySelectorAll("[id]")].find((part) => part.getBoundingClientRect().top >= 0);
  const anchor = inner?.id || read?.id;
  const before = anchor && document.getElementById(anchor).getBoundingClientRect().top;
  change();
  const moved = anchor && document.getElementById(anchor);
  if (moved) {
    scrollBy({ top: moved.getBoundingClientRect().top - before, behavior: "instant" });
  }
}

// A form in which something was typed or chosen, and not sent yet, is not replaced.
function isTyped(section) {
  return [...section.querySelectorAll("form input, form textarea, form select")].some((field) => {
    if (field.tagName === "SELECT") {
      const usual = [...field.options].findIndex((option) => option.defaultSelected);
      return field.selectedIndex !== Math.max(usual, 0);
    }
    return field.type === "checkbox" || field.type === "radio"
      ? field.checked !== field.defaultChecked
      : field.value !== field.defaultValue;
  });
}

function sections(main) {
  return [...main.querySelectorAll("section[id]")];
}

function ids(main) {
  return sections(main).map((section) => section.id);
}

// A section appeared or went away.
function replaceAll(main, newMain) {
  const before = new Map(sections(main).map((section) => [section.id, section]));
  const active = before.get(document.activeElement?.closest("section[id]")?.id);
  const within = active === undefined ? null : focusIndex(active, document.activeElement);
  keepOpen(main, newMain);
  for (const next of sections(newMain)) {
    const now = before.get(next.id);
    if (now === undefined || !(now.isEqualNode(next) || onlyFreshDiffers(now, next))) {
      next.classList.add("fresh");
    }
  }
  main.replaceChildren(...newMain.childNodes);
  if (within !== null) {
    focusAgain(document.getElementById(active.id), within);
  }
}

// Open details stay open, and the keyboard focus stays where it is. Returns whether the section is up to date now.
function replace(now, next) {
  keepOpen(now, next);
  if (now.isEqualNode(next) || onlyFreshDiffers(now, next)) {
    return true;
  }
  if (isTyped(now)) {
    return false;
  }
  const within = now.contains(document.activeElement) ? focusIndex(now, document.activeElement) : null;
  next.classList.add("fresh");
  now.replaceWith(next);
  if (within !== null) {
    focusAgain(next, within);
  }
  return true;
}

function keepOpen(now, next) {
  for (const details of now.querySelectorAll("details[id][open]")) {
    const same = next.querySelector(`#${CSS.escape(details.id)}`);
    if (same !== null) {
      same.open = true;
    }
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
  return [...section.querySelectorAll(FOCUSABLE)].indexOf(element);
}

function focusAgain(section, index) {
  if (section !== null) {
    [...section.querySelectorAll(FOCUSABLE)][index]?.focus({ preventScroll: true });
  }
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
