// The service's routes as plain functions. Whatever goes wrong comes back as a Problem with a sentence for a person.

export class Problem extends Error {
  constructor({ title, detail, status = 0, retryAfter = null, traceId = "" }) {
    super(detail || title || "Something went wrong.");
    this.title = title || "Something went wrong";
    this.status = status;
    this.retryAfter = retryAfter;
    this.traceId = traceId;
  }
}

async function problemOf(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // A proxy's own error page: the status is all there is to say.
  }
  const detail = body.reason || body.detail || `The service answered with status ${response.status}.`;
  return new Problem({ title: body.title, detail, status: response.status, retryAfter: response.headers.get("Retry-After"),
    traceId: response.status >= 500 ? response.headers.get("X-Trace-Id") : "" });
}

/** A new trace (W3C Trace Context), so that what went wrong is found in the service's log by what the page shows. */
function traceparent() {
  const hex = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `00-${hex(16)}-${hex(8)}-01`;
}

/** What a page of this service alone can read, and so what shows that a request is from one. */
const token = () => /(?:^|; )rag_bot_csrf=([^;]*)/.exec(document.cookie)?.[1];

async function request(path, options = {}) {
  let response;
  const proof = options.method && token() ? { "X-CSRF-Token": token() } : {};
  try {
    response = await fetch(path, { ...options, headers: { traceparent: traceparent(), ...options.headers, ...proof } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: "No connection", detail: "The service did not answer. Check that it is running, then try again." });
  }
  if (response.status === 401 && !path.startsWith("v1/session")) window.dispatchEvent(new Event("rag-bot:signed-out"));
  if (!response.ok) throw await problemOf(response);
  return response;
}

const json = async (path, options) => (await request(path, options)).json();
const withJson = (method, body) => ({ method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
const at = (kind, id) => `v1/${kind}/${encodeURIComponent(id)}`;

export const session = {
  /** `{accounts, principal, provider}`; `principal` is null where nobody is signed in, `provider` where there is none. */
  get: () => json("v1/session"),
  signIn: (name, password) => json("v1/session", withJson("POST", { name, password })),
  signOut: (everywhere) => request(`v1/session?everywhere=${everywhere}`, { method: "DELETE" }),
  changePassword: (old, fresh) => request("v1/session/password", withJson("POST", { old, new: fresh })),
};

export const people = {
  list: async () => (await json("v1/users")).users,
  add: (user) => json("v1/users", withJson("POST", user)),
  change: (id, values) => json(at("users", id), withJson("PATCH", values)),
  remove: (id) => request(at("users", id), { method: "DELETE" }),
};

export const keys = {
  list: async () => (await json("v1/keys")).keys,
  /** The key with its secret half, `key`, which can't be had again. */
  create: (key) => json("v1/keys", withJson("POST", key)),
  revoke: (id) => request(at("keys", id), { method: "DELETE" }),
};

/** Names of the parts of the documents that one may ask alone. */
export const collections = async () => (await json("v1/collections")).collections;

export const conversations = {
  /** A page of them, last used first: `{conversations, next}`; `next` is the `before` of the page after it. */
  list: (before) => json(before ? `v1/conversations?before=${encodeURIComponent(before)}` : "v1/conversations"),
  get: (id) => json(at("conversations", id)),
  rename: (id, title) => request(at("conversations", id), withJson("PATCH", { title })),
  remove: (id) => request(at("conversations", id), { method: "DELETE" }),
};

export const documents = {
  list: async () => (await json("v1/documents")).documents,
  get: (id) => json(at("documents", id)),
  file: (id) => `${at("documents", id)}/file`,
  /** Where the characters [start, end) stand: `{page, width, height, boxes}` for each page, nothing where there are no pages. */
  boxes: async (id, start, end, signal) => (await json(`${at("documents", id)}/boxes?start=${start}&end=${end}`, { signal })).pages,
  remove: (id) => request(at("documents", id), { method: "DELETE" }),
  /** Resolves to a job once the file is on the service's disk: it is taken in when its turn comes. */
  upload(file) {
    const form = new FormData();
    form.append("file", file, file.name);
    return json("v1/documents", { method: "POST", body: form, headers: { Prefer: "respond-async" } });
  },
  /** The characters [start, end) of the document. `Response.text()` would drop a byte order mark and shift offsets. */
  async text(id, start, end, signal) {
    const response = await request(`${at("documents", id)}/text?start=${start}&end=${end}`, { signal });
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(await response.arrayBuffer());
  },
};

export const jobs = {
  cancel: (id) => request(at("jobs", id), { method: "DELETE" }),
  /** Yields the job each time that it has changed; the last one is over. */
  async *follow(id) {
    const response = await request(`${at("jobs", id)}/events`);
    for await (const { name, data } of readEvents(response.body)) {
      if (name === "error") throw new Problem(data);
      yield data;
    }
  },
};

export const feedback = (answerId, thumb, reason) =>
  request("v1/feedback", withJson("POST", { answer_id: answerId, thumb, ...(reason ? { reason } : {}) }));

/** Ask all documents, or those of a collection; yields `{name, data}` for each event of the stream. */
export async function* ask(question, { conversationId, collection }, signal) {
  const body = { question, ...(conversationId ? { conversation_id: conversationId } : {}), ...(collection ? { collection } : {}) };
  const options = withJson("POST", body);
  options.headers.Accept = "text/event-stream";
  const response = await request("v1/chat", { ...options, signal });
  yield* readEvents(response.body);
}

async function* readEvents(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  let name = "message";
  let data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      // A carriage return at the very end may be half of a line break that is still on its way.
      const lines = (buffer + value).split(/\r\n|\n|\r(?!$)/);
      buffer = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (data.length) yield { name, data: JSON.parse(data.join("\n")) };
          name = "message";
          data = [];
        } else if (line.startsWith("event:")) name = line.slice(6).trim();
        else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
      }
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: "The answer broke off", detail: "The connection was lost before the answer was whole." });
  } finally {
    reader.cancel().catch(() => {});
  }
}
