// What every page has: the jump box, buttons that copy, menus that close. No words here: texts come from the page.

import "./copy-button.js";
import "./jump-box.js";

// An open menu closes when something else is pressed, or by Escape.
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.drop[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.drop[open]")) open.open = false;
});

// The menu is a list on a wide page and closed at first on a narrow one.
const narrow = matchMedia("(max-width: 760px)");
const menu = document.querySelector(".menu > details");
if (menu) {
  const fit = () => { menu.open = !narrow.matches; };
  fit();
  narrow.addEventListener("change", fit);
}

// "/" goes to the page's own search, or to the jump box where it has none.
document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.querySelector("main input[type=search]");
  event.preventDefault();
  if (search) search.focus();
  else document.querySelector("jump-box")?.open();
});
