// Updates the phones and sends replies without leaving the page. Without this script, the page works by reloading.
const EVERY = 1000; // milliseconds between two updates
const screens = document.getElementById("screens");
const ringing = document.getElementById("ringing");
let tag = "";
let busy = false;

const scrollDown = () => {
  for (const talk of screens.querySelectorAll(".talk")) talk.scrollTop = talk.scrollHeight;
};

// Text that is being typed survives an update.
const remember = () => {
  const typed = new Map();
  for (const input of screens.querySelectorAll("input[type=text]")) {
    if (input.value) typed.set(input.id, input.value);
  }
  const active = document.activeElement;
  const at = active instanceof HTMLInputElement ? [active.selectionStart, active.selectionEnd] : null;
  return { typed, focus: screens.contains(active) ? active.id : "", at };
};

const restore = ({ typed, focus, at }) => {
  for (const [id, value] of typed) {
    const input = document.getElementById(id);
    if (input) input.value = value;
  }
  const active = focus && document.getElementById(focus);
  if (!active) return;
  active.focus({ preventScroll: true });
  if (at && active instanceof HTMLInputElement) active.setSelectionRange(...at);
};

const newest = () => screens.querySelector(".phone")?.dataset.newest ?? "";

const update = async (quietly = false) => {
  if (busy || (document.hidden && !quietly)) return;
  busy = true;
  try {
    const answer = await fetch("/phone/screens", { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
    if (answer.status !== 200) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const before = newest();
    const kept = remember();
    screens.replaceChildren(...page.body.childNodes);
    restore(kept);
    scrollDown();
    if (newest() > before && !quietly) {
      const name = screens.querySelector(".phone h2")?.firstChild?.textContent.trim() ?? "";
      ringing.textContent = `New message on the phone of ${name}`;
    }
    tag = answer.headers.get("ETag") ?? "";
  } catch {
    // The server is unavailable for a moment: try again at the next update.
  } finally {
    busy = false;
  }
};

screens.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (!answer.ok) throw new Error(String(answer.status));
    form.elements.text.value = "";
    form.elements.text.focus();
    ringing.textContent = "";
    await update(true);
  } catch {
    ringing.textContent = "The reply was not sent. Please try again.";
  } finally {
    button.disabled = false;
  }
});

scrollDown();
setInterval(() => update(), EVERY);
