// ChatJS as it is published, counting what it gives a page, for tests/benchmarks.
//
//   argument: the service's URL, the chat's contact, a participant token
//   stdin:    a line with the Id of the last item that will come, for each burst
//   stdout:   {"ready": true} once it is connected, and again for each line; then, when that item
//             has come, {"count", "cpu", "wall"}: calls, and microseconds since the line
import { createInterface } from "node:readline";
import { JSDOM } from "jsdom";
import { WebSocket } from "ws";

const [url, contactId, participantToken] = process.argv.slice(2);
const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");

const { window } = new JSDOM("", { url: "http://localhost/" });
const globals = { window, self: globalThis, document: window.document, navigator: window.navigator, WebSocket };
for (const [name, value] of Object.entries(globals)) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}
Object.defineProperty(window, "connect", { get: () => globalThis.connect });

await import("amazon-connect-chatjs");
const { ChatSession } = globalThis.connect;
ChatSession.setGlobalConfig({
  endpoint: url,
  region: "us-east-1",
  features: { messageReceipts: { shouldSendMessageReceipts: false } },
});
const session = ChatSession.create({
  // Items of any other contact are dropped.
  chatDetails: { contactId, participantId: "participant", participantToken },
  type: ChatSession.SessionTypes.CUSTOMER,
  options: { region: "us-east-1" },
  disableCSM: true,
});

let last, count, began, used;
const take = ({ data }) => {
  count += 1;
  if (data.Id === last) {
    const { user, system } = process.cpuUsage(used);
    const wall = Number(process.hrtime.bigint() - began) / 1000;
    say({ count, cpu: user + system, wall });
  }
};
for (const name of ["onMessage", "onTyping", "onReadReceipt", "onDeliveredReceipt"]) {
  session[name](take);
}
await session.connect();

createInterface({ input: process.stdin })
  .on("line", (line) => {
    last = line;
    count = 0;
    began = process.hrtime.bigint();
    used = process.cpuUsage();
    say({ ready: true });
  })
  .on("close", () => process.exit(0));
say({ ready: true });
