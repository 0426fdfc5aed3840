// What the page says: a status (read out when there is time), an alert (at once), and notices that stay until closed.
const say = (text) => { byId("status").textContent = text; };
const tellUnseen = (text) => { byId("heard").textContent = text; }; // for those who hear the page
const warn = (text) => { byId("alert").textContent = text; };

const notice = (text, typed) => { // `typed`: what the reader wrote and may want to copy
  const element = make("div", "notice");
  element.append(make("p", "", text));
  if (typed) element.append(make("p", "", texts.given_back), givenBack(typed));
  element.append(makeButton("close", texts.close, () => element.remove()));
  byId("notices").append(element);
};

const givenBack = (typed) => {
  const element = make("div", "given-back"), field = make("textarea");
  field.readOnly = true;
  field.rows = 2;
  field.value = typed;
  field.setAttribute("aria-label", texts.given_back);
  element.append(field, makeButton("", texts.copy, () => {
    field.select();
    say(document.execCommand("copy") ? texts.copied : ""); // navigator.clipboard is missing on http:// pages of another machine
  }));
  return element;
};
