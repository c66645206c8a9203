// Pays one request with npm's @x402/fetch (protocol v2), default settings.
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { registerExactEvmScheme } from "@x402/evm/exact/client";
import { privateKeyToAccount } from "viem/accounts";
import { call, recorder, report } from "./payer.mjs";

const { url, key, init } = call();
const client = new x402Client();
registerExactEvmScheme(client, { signer: privateKeyToAccount(key) });
const record = recorder();
const answer = await wrapFetchWithPayment(record.fetch, client)(url, init);
const header = answer.headers.get("PAYMENT-RESPONSE") ?? answer.headers.get("X-PAYMENT-RESPONSE");
await report(answer, record.sent, header ? decodePaymentResponseHeader(header) : null);
