// Pays one request with npm's x402-fetch (protocol v1), default settings.
import { createSigner, decodeXPaymentResponse, wrapFetchWithPayment } from "x402-fetch";
import { call, recorder, report } from "./payer.mjs";

const { url, key, init } = call();
const signer = await createSigner(process.env.NETWORK_V1 ?? "base-sepolia", key);
const record = recorder();
const answer = await wrapFetchWithPayment(record.fetch, signer)(url, init);
const header = answer.headers.get("X-PAYMENT-RESPONSE");
await report(answer, record.sent, header ? decodeXPaymentResponse(header) : null);
