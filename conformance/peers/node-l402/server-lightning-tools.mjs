// Sells GET /paid for AMOUNT_SAT with the helpers of npm's @getalby/lightning-tools, as its README does: a token that holds
// the payment hash, opened by the preimage. The node makes the invoices.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import {
  issueL402Macaroon,
  makeL402AuthenticateHeader,
  parseL402Authorization,
  verifyL402Macaroon,
} from "@getalby/lightning-tools/402";
import { ask } from "./node.mjs";

const { PORT, AMOUNT_SAT } = process.env;
const SECRET = "conformance";

async function isPaid(header) {
  const shown = header ? parseL402Authorization(header) : null;
  if (!shown) return false;
  const { paymentHash } = await verifyL402Macaroon(SECRET, shown.token);
  return createHash("sha256").update(Buffer.from(shown.preimage, "hex")).digest("hex") === paymentHash;
}

async function answer(request, reply) {
  if (request.url === "/health") return reply.writeHead(200).end();
  if (await isPaid(request.headers.authorization)) return reply.writeHead(200).end('{"paid":true}');
  const { payment_request: invoice, r_hash: hash } = await ask("/v1/invoices", { value: AMOUNT_SAT, memo: "conformance" });
  const token = await issueL402Macaroon(SECRET, Buffer.from(hash, "base64").toString("hex"));
  return reply.writeHead(402, { "www-authenticate": makeL402AuthenticateHeader({ token, invoice }) }).end("{}");
}

createServer((request, reply) => {
  answer(request, reply).catch((error) => reply.writeHead(500).end(String(error)));
}).listen(Number(PORT), "127.0.0.1");
