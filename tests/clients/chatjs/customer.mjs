// A customer's web page with ChatJS in it, driven over stdin and stdout, a JSON object a line:
//
//   {"id": 1, "call": "sendMessage", "with": {...}}  ->  {"id": 1, "answer": ...} or {"id": 1, "error": ...}
//                                                        {"event": "onMessage", "data": ...}
//
// What is called is a method of ChatJS's session, or one of the page's own below. ChatJS itself is
// as published: what a browser gives it comes from jsdom, its websockets from ws.
import { createInterface } from "node:readline";
import { JSDOM } from "jsdom";
import { WebSocket } from "ws";

const [url, contactId, participantId, participantToken] = process.argv.slice(2);
const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");

const { window } = new JSDOM("", { url: "http://localhost/" });
const globals = {
  window,
  self: globalThis, // where ChatJS puts its name
  document: window.document,
  navigator: window.navigator,
  WebSocket,
};
for (const [name, value] of Object.entries(globals)) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}
Object.defineProperty(window, "connect", { get: () => globalThis.connect });

// ChatJS replaces its websocket 59 minutes after it was opened; nobody waits for that here.
const transportLifetime = 59 * 60 * 1000;
const rotations = [];
const setTimeout = globalThis.setTimeout;
globalThis.setTimeout = (callback, delay, ...rest) => {
  if (delay === transportLifetime) {
    rotations.push(callback);
    return undefined;
  }
  return setTimeout(callback, delay, ...rest);
};

await import("amazon-connect-chatjs");
const { ChatSession } = globalThis.connect;
ChatSession.setGlobalConfig({
  endpoint: url,
  region: "us-east-1",
  features: { messageReceipts: { shouldSendMessageReceipts: true, throttleTime: 1 } },
});
const session = ChatSession.create({
  chatDetails: { contactId, participantId, participantToken },
  type: ChatSession.SessionTypes.CUSTOMER,
  options: { region: "us-east-1" },
  disableCSM: true, // metrics, of a page that has Amazon's scripts in it
});

const page = {
  rotate: () => rotations.pop()(),
  sendFile: ({ name, type, base64 }) =>
    session.sendAttachment({ attachment: new File([Buffer.from(base64, "base64")], name, { type }) }),
  fetchFile: async ({ attachmentId }) => {
    const blob = await session.downloadAttachment({ attachmentId });
    return { type: blob.type, base64: Buffer.from(await blob.arrayBuffer()).toString("base64") };
  },
};

for (let type = session; type !== Object.prototype; type = Object.getPrototypeOf(type)) {
  for (const name of Object.getOwnPropertyNames(type).filter((name) => /^on[A-Z]/.test(name))) {
    // What comes with an event besides its data, such as tokens, is the page's own affair.
    session[name]((event) => say({ event: name, data: event?.data ?? null }));
  }
}

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { id, call, with: argument } = JSON.parse(line);
    try {
      const answer = await (page[call] ?? session[call].bind(session))(argument);
      say({ id, answer: answer?.data ?? answer ?? null });
    } catch (error) {
      say({ id, error: error?.type ?? error?._debug?.type ?? String(error?.stack ?? error) });
    }
  })
  .on("close", () => process.exit(0));
say({ event: "ready", data: null });
