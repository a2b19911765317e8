// Colours of the page, which change with its theme: the event "theme" of the document says when.

// Of custom properties, without their dashes: name -> "rgb(r, g, b)".
export function pageColours(...names) {
  const probe = document.body.appendChild(document.createElement("i"));
  const found = Object.fromEntries(names.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color];
  }));
  probe.remove();
  return found;
}

// Red, green and blue from 0 to 255, of #rrggbb or rgb(r, g, b).
export function channels(text) {
  const parts = text.startsWith("#") ? text.match(/[0-9a-f]{2}/gi).map((one) => parseInt(one, 16)) : text.match(/[\d.]+/g).map(Number);
  return parts.slice(0, 3);
}
