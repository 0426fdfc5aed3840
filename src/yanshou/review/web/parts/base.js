// Texts of groups come from models and strangers: they are inserted as text (textContent), never as markup.
const byId = (id) => document.getElementById(id);
const texts = JSON.parse(byId("texts").textContent);
const storeId = document.body.dataset.store;
let reader = null; // this browser's name
let chosen = null; // the queue: {queue, mission}; mission null: all

const make = (tag, name, text) => {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined && text !== null) element.textContent = text;
  return element;
};
const makeButton = (name, text, act) => {
  const element = make("button", name, text);
  element.type = "button";
  element.addEventListener("click", act);
  return element;
};
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
const pause = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds));
const uuid = () => { // crypto.randomUUID is missing on http:// pages of another machine
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
};

// A browser may refuse to keep anything: then reading gives null and writing false.
const recall = (storage, name) => {
  try {
    return JSON.parse(window[storage].getItem(name));
  } catch {
    return null;
  }
};
const remember = (storage, name, value) => {
  try {
    window[storage].setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
};
