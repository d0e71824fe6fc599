// One key for the whole site: "/" goes to the search, unless somebody is typing.

const TYPING = "input, textarea, select, [contenteditable]";

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest(TYPING)) {
    return;
  }
  const search = document.getElementById("q");
  if (search !== null) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});
