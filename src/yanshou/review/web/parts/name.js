// Who answers. Names have no password.
const NAME = "yanshou-review-name-" + storeId;
const nameField = byId("name-field");

const askName = () => {
  nameField.value = recall("localStorage", NAME) ?? "";
  byId("name-fault").textContent = "";
  show("name");
  nameField.select();
};

byId("name-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = nameField.value.trim();
  if (!name) {
    byId("name-fault").textContent = texts.name_empty;
    return;
  }
  const reply = await call("/api/name", { name });
  if (reply.ok) {
    remember("localStorage", NAME, reply.data.reader);
    start();
  } else if (reply.code === "sign_in") signOut();
  else byId("name-fault").textContent = reply.message;
});

byId("other-reader").addEventListener("click", () => {
  if (kept().some((item) => item.reader === reader)) notice(fill(texts.name_pending, { reader }));
  else askName();
});
