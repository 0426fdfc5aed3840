// Requests to the server. A reply is {ok: true, data} or {ok: false, code, message}; nothing is thrown.
const TIMEOUT_MS = 20000;
const UNREACHABLE = "unreachable"; // no reply, a late one, or one that is not the server's

const call = async (path, body) => {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  try {
    const options = { ...(body === undefined ? {} : post), signal: AbortSignal.timeout(TIMEOUT_MS), redirect: "error" };
    const reply = await fetch(path, options);
    const data = await reply.json();
    return reply.ok ? { ok: true, data } : { ok: false, code: data.error, message: data.message };
  } catch {
    return { ok: false, code: UNREACHABLE, message: texts.offline };
  }
};

// Waits before a request is sent again; returning to the page or to the network ends the wait.
const patience = (milliseconds) => new Promise((go) => {
  const end = () => {
    clearTimeout(timer);
    removeEventListener("online", end);
    document.removeEventListener("visibilitychange", end);
    go();
  };
  const timer = setTimeout(end, milliseconds);
  addEventListener("online", end);
  document.addEventListener("visibilitychange", end);
});
const longer = (wait) => Math.min(2 * wait, 10000);
