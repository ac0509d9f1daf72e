// Small helpers for building the page. Know nothing of what is on it.

export const byId = (id) => document.getElementById(id);

/** A new element with properties (data-… and aria-… as attributes) and children. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Let a group of buttons be one stop for Tab; arrow keys move inside it, `columns` to a row. */
export function rove(group, columns) {
  const buttons = [...group.querySelectorAll("button")];
  buttons.forEach((button, place) => (button.tabIndex = place === 0 ? 0 : -1));
  group.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    const next = buttons[buttons.indexOf(document.activeElement) + step];
    if (!step || !next) return;
    event.preventDefault();
    buttons.forEach((button) => (button.tabIndex = button === next ? 0 : -1));
    next.focus();
  };
}

/** Mark one button of a group as the chosen one. */
export function press(chosen, group) {
  for (const button of group.querySelectorAll("button[aria-pressed]")) {
    button.setAttribute("aria-pressed", String(button === chosen));
  }
}
