// What the pages can do besides: copy what stands in them, and print it. Without scripts, it is selected by hand.
"use strict";

function showButtons() {
  for (const button of document.querySelectorAll("button:is([data-copy], [data-print])[hidden]")) button.hidden = false;
}

function select(said) {
  const area = document.createElement("textarea");
  area.value = said.textContent.trim();
  area.readOnly = true;
  area.rows = Math.ceil(area.value.length / 60) + 1;
  area.setAttribute("aria-label", said.closest(".word, .verdict").querySelector("h4, p").textContent);
  said.replaceChildren(area);
  area.focus();
  area.select();
}

document.addEventListener("click", async (event) => {
  if (event.target.closest("button[data-print]")) print();
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const said = button.closest(".word, .verdict").querySelector("[data-copied]");
  const text = (said.querySelector("textarea")?.value ?? said.textContent).trim();
  try {
    await navigator.clipboard.writeText(text);
    const label = button.querySelector("span"), before = label.textContent;
    label.textContent = document.getElementById("said-aloud").textContent = button.dataset.done;
    button.classList.add("done");
    setTimeout(() => { button.classList.remove("done"); label.textContent = before; }, 2000);
  } catch {
    select(said);
  }
});

document.addEventListener("keydown", (event) => {
  const search = document.getElementById("search");
  if (event.key !== "/" || !search || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select")) return;
  event.preventDefault();
  search.select();
  search.focus();
});

// Going back before htmx listens changes only the address: load the page of that address.
document.addEventListener("DOMContentLoaded", () => {
  const page = (entry) => entry.url.split("#")[0], { activation, currentEntry } = window.navigation ?? {};
  if (activation && page(activation.entry) !== page(currentEntry)) location.reload();
});

// What is typed or pasted next replaces what did not fit.
function begin() {
  showButtons();
  document.querySelector("input[autofocus][aria-invalid]")?.select();
}

document.addEventListener("htmx:afterSettle", begin);
begin();
