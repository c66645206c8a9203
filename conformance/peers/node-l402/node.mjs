// What the programs here share: the Lightning node, and the one JSON line that they print. The same contract as
// ../python-l402/node.py: LND_REST and LND_MACAROON are the node's.

const { LND_REST, LND_MACAROON } = process.env;

/** Asks the node's REST API; the last JSON line of what it says. */
export async function ask(path, body) {
  const answer = await fetch(`${LND_REST}${path}`, {
    method: "POST",
    headers: { "grpc-metadata-macaroon": LND_MACAROON, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`the node said ${answer.status}: ${text}`);
  return JSON.parse(text.trim().split("\n").at(-1));
}

/** The wallet that the package asks for. */
export const wallet = {
  async payInvoice({ invoice }) {
    const order = { payment_request: invoice, timeout_seconds: 30, fee_limit_msat: "5000", no_inflight_updates: true };
    const { result } = await ask("/v2/router/send", order);
    return { preimage: result.payment_preimage, fees_paid: Number(result.fee_msat) };
  },
};
