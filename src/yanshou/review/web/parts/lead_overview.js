// What is done and left, who reads, and the audit.
const STEPS = ["first", "second", "third", "lead", "done"];

const paintMissions = (missions, notQueued) => {
  const heads = ["mission", "groups", ...STEPS].map((name) => texts["lead_" + name]);
  const total = (name) => missions.reduce((sum, mission) => sum + mission[name], 0);
  const rows = missions.map((mission) => [mission.name, mission.groups, ...STEPS.map((step) => mission[step])]);
  if (missions.length > 1) rows.push([texts.lead_all, total("groups"), ...STEPS.map(total)]);
  byId("missions").replaceChildren(makeTable(heads, rows));
  if (notQueued) byId("missions").append(make("p", "quiet", fill(texts.lead_not_queued, { count: notQueued })));
};

const paintReaders = (readers, shared) => {
  const heads = ["reader", "read", "today", "undone", "median", "p90", "browsers"].map((name) => texts["lead_" + name]);
  const rows = readers.map((one) => [one.reader, one.groups, one.today, one.undone, seconds(one.median), seconds(one.p90), one.browsers]);
  const many = readers.filter((one) => one.browsers > 1).map((one) => one.reader);
  byId("readers").replaceChildren(readers.length ? makeTable(heads, rows) : make("p", "quiet", texts.lead_readers_none));
  const warned = (text, names) => byId("readers").append(make("p", "warned", fill(texts[text], { names: names.join(texts.lead_comma) })));
  if (many.length) warned("lead_many_browsers", many);
  for (const names of shared) warned("lead_many_names", names);
};

const paintAudit = (audit) => {
  byId("audit").textContent = auditText(audit);
};

const auditText = (audit) => {
  if (!audit) return texts.lead_audit_none;
  if (!audit.bad) return fill(audit.settled < audit.of ? texts.lead_audit_progress : texts.lead_audit_early, audit);
  const found = audit.bad.fails + audit.bad.unsure;
  return fill(texts.lead_audit_result, {
    ...audit.bad, found, share: percentage(audit.bad.share), upper: percentage(audit.bad.upper),
  });
};
