// Answers and undos that the server has not confirmed. Each is kept in the browser before it is first sent, so that a
// reload loses nothing, and is sent under its uid until there is a word on it, so that it counts once.
//   {uid, kind: "answer" | "undo", reader, body}
const KEPT = "yanshou-review-kept-" + storeId;
const REFUSED = new Set(["lease_lost", "answered", "uid_used", "not_found", "bad_request", "too_large"]);
let remembered = true; // whether the browser kept the last one

const kept = () => recall("localStorage", KEPT) ?? [];
const keep = (item) => { remembered = remember("localStorage", KEPT, [...kept().filter((other) => other.uid !== item.uid), item]); };
const forget = (item) => remember("localStorage", KEPT, kept().filter((other) => other.uid !== item.uid));

const deliver = async (item) => { // the server's word: a success, a refusal, or that the reader has to sign in again
  keep(item);
  for (let wait = 1000, tries = 0; ; wait = longer(wait), tries += 1) {
    const reply = await call("/api/" + item.kind, { uid: item.uid, ...item.body });
    if (reply.ok || REFUSED.has(reply.code)) {
      forget(item);
      warn("");
      if (tries && reply.ok) say(texts.back_online);
      return reply;
    }
    if (reply.code === "sign_in" || reply.code === "no_name") return reply;
    warn(whyNotYet(item, reply));
    await patience(wait);
  }
};

const whyNotYet = (item, reply) => {
  if (reply.code === UNREACHABLE) {
    if (!remembered) return texts.waiting_memory;
    return item.kind === "undo" ? texts.waiting_undo : texts.waiting;
  }
  return texts["error_" + reply.code] ?? fill(texts.error_other, { message: reply.message });
};

const refusal = (item, reply) => {
  const name = item.kind === "undo" ? (reply.code === "lease_lost" ? "error_undo_lease_lost" : "error_undo") : "error_" + reply.code;
  return fill(texts[name], { message: reply.message });
};
