// The lead's page: refreshed every minute, but not under the lead's hands while a group is open.
const REFRESH_MS = 60000;
let updated = "";

const failed = (reply) => {
  if (reply.code === "sign_in") {
    byId("signed-out").hidden = false;
    byId("overview").hidden = byId("dispute").hidden = byId("bar").hidden = true;
    return;
  }
  warn(reply.code === "answered" ? texts.lead_settled : fill(texts.error_other, { message: reply.message }));
};

const refresh = async () => {
  if (opened || document.hidden) return;
  const reply = await call("/api/lead/progress");
  if (!reply.ok) {
    if (reply.code === "sign_in") failed(reply);
    else warn(fill(texts.lead_stale, { message: reply.message, time: updated || "–" }));
    return;
  }
  if (opened) return; // a group was opened meanwhile
  warn("");
  byId("signed-out").hidden = true;
  byId("overview").hidden = false;
  const found = reply.data;
  updated = new Date(found.at).toLocaleTimeString(texts.lang);
  byId("progress").textContent = fill(texts.lead_updated, { time: updated });
  byId("lead-is").textContent = fill(texts.lead_is, { name: found.lead });
  paintMissions(found.missions, found.not_queued);
  paintDisputes(found.disputes);
  paintDecided(found.decided);
  paintAudit(found.audit);
  paintReaders(found.readers, found.shared);
  paintAgreement(found.agreement);
};

// Keys of the open group. None is taken while an input method composes; a held key decides nothing.
const LABELS = { j: "pass", f: "fail", u: "unsure" };

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.keyCode === 229 || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (!opened || document.querySelector("dialog[open]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const act = event.target === field ? fieldKey(key) : groupKey(event, key);
  if (!act) return;
  event.preventDefault();
  act();
});

const fieldKey = (key) => ({ Enter: saveDecision, Escape: () => byId("dispute").focus() })[key];
const groupKey = (event, key) => {
  if (key in LABELS) return () => chooseAnswer(LABELS[key]);
  if (key === "Enter" && event.target.closest("button, summary")) return null;
  if (answer && key >= "1" && key <= "9") return () => pickReason(Number(key) - 1);
  if (key === "/" && answer) return () => field.focus();
  if (key === "Escape") return () => (answer ? chooseAnswer(null) : closeDispute());
  return { Enter: saveDecision, n: () => { if (!byId("next").hidden) nextDispute(); } }[key];
};

byId("rename").addEventListener("click", () => {
  byId("name-fault").textContent = "";
  byId("name").showModal();
});
byId("name-cancel").addEventListener("click", () => byId("name").close());
byId("name-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const reply = await call("/api/lead/name", { name: byId("name-field").value });
  if (!reply.ok) {
    byId("name-fault").textContent = reply.message;
    return;
  }
  byId("lead-is").textContent = fill(texts.lead_is, { name: reply.data.lead });
  byId("name").close();
});

setInterval(refresh, REFRESH_MS);
document.addEventListener("visibilitychange", refresh);
refresh();
