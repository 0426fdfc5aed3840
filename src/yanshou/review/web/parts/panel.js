// What is about to be saved: the answer, reasons of the mission's vocabulary, and free text. It stays in the tab as a
// draft until it is saved, so that neither a reload nor a lost group loses it.
const draftsName = () => "yanshou-review-draft-" + storeId + "-" + reader; // another reader at this computer sees none of it
const panel = byId("panel"), field = byId("reason-text");
const MOST_CHARACTERS = 500; // of a reason: the server takes no more
let label = null; // what the panel would save; null: closed
let picked = []; // reasons, in the order of the vocabulary

const vocabulary = () => missions.get(current.mission)?.reasons[label] ?? [];
const panelOpen = () => label !== null;

const openPanel = (wanted) => {
  if (busy || !current) return;
  const draft = draftOf(current);
  if (label === null) field.value = draft?.text ?? "";
  picked = label === wanted ? picked : draft?.label === wanted ? draft.picked : [];
  label = wanted;
  panel.hidden = false;
  panel.className = label;
  byId("panel-label").textContent = texts[label];
  paintReasons();
  for (const button of answerButtons) button.setAttribute("aria-pressed", String(button.dataset.label === label));
  keepDraft();
  panel.focus({ preventScroll: true });
};

const closePanel = () => {
  label = null;
  picked = [];
  field.value = "";
  panel.hidden = true;
  for (const button of answerButtons) button.setAttribute("aria-pressed", "false");
};

const withdraw = () => { // the draft stays
  closePanel();
  byId("work").focus({ preventScroll: true });
};

const paintReasons = () => {
  byId("reasons").replaceChildren(...vocabulary().map((reason, number) => {
    const element = makeButton("reason", "", () => {
      pick(number);
      byId("reasons").children[number].focus();
    });
    if (number < 9) element.append(make("kbd", "", String(number + 1)), " ");
    element.append(reason);
    element.setAttribute("aria-pressed", String(picked.includes(reason)));
    return element;
  }));
  byId("panel-pick").hidden = !vocabulary().length;
};

const pick = (number) => {
  const reason = vocabulary()[number];
  if (reason === undefined) return;
  const chosenNow = picked.includes(reason) ? picked.filter((other) => other !== reason) : [...picked, reason];
  picked = vocabulary().filter((other) => chosenNow.includes(other));
  paintReasons();
  keepDraft();
};

const reasonText = () => typedIn({ picked, text: field.value });

// Drafts, by group.
const drafts = () => recall("sessionStorage", draftsName()) ?? {};
const keepDraft = () => remember("sessionStorage", draftsName(), { ...drafts(), [current.id]: { label, picked, text: field.value } });
const draftOf = (group) => drafts()[group.id];
const typedFor = (group) => (draftOf(group) ? typedIn(draftOf(group)) : "");
const typedIn = (draft) => [...draft.picked, draft.text.trim()].filter(Boolean).join(texts.join);
const forgetDraft = (id) => {
  const { [id]: _, ...others } = drafts();
  remember("sessionStorage", draftsName(), others);
};
const giveBackDrafts = () => { // of groups that are no longer at hand: after a pause, a reload, a lost lease
  for (const [id, draft] of Object.entries(drafts())) {
    if (heldIds().includes(Number(id))) continue;
    forgetDraft(id);
    if (typedIn(draft)) notice(texts.lost_draft, typedIn(draft));
  }
};

field.addEventListener("input", keepDraft);
byId("withdraw").addEventListener("click", withdraw);
