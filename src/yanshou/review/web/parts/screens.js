// One screen at a time: a door (name, choice, …) or the group.
const SCREENS = ["loading", "signed-out", "name", "choice", "done", "idle", "elsewhere", "work"];
let screen = "loading";

const show = (name) => {
  screen = name;
  for (const id of SCREENS) byId(id).hidden = id !== name;
  byId("top").hidden = name !== "work" && name !== "done";
  const first = byId(name).querySelector("input, button.main, button.queue:not(:disabled)");
  (name === "work" || !first ? byId("work") : first).focus({ preventScroll: true });
};
const isWorking = () => screen === "work";

const signOut = () => { // what is kept stays in the browser
  dropGroups();
  warn("");
  show("signed-out");
};
