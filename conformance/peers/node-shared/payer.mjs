// What the paying programs share; the same contract as ../python/payer.py:
// input RESOURCE_URL, EVM_PRIVATE_KEY, METHOD, BODY; output one JSON line.

const PAYMENT_HEADERS = ["payment-signature", "x-payment"];

/** One request to make, read from the environment. */
export function call() {
  const { RESOURCE_URL, EVM_PRIVATE_KEY, METHOD = "GET", BODY } = process.env;
  return { url: RESOURCE_URL, key: EVM_PRIVATE_KEY, init: { method: METHOD, body: BODY } };
}

/** A fetch that remembers the payment header it sent, and with ONLY_V1 hides the v2 offer; else the platform's own. */
export function recorder() {
  const record = { sent: null };
  record.fetch = async (input, init) => {
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
    for (const name of PAYMENT_HEADERS) {
      if (headers.has(name)) record.sent = { name, value: headers.get(name) };
    }
    const answer = await fetch(input, init);
    if (!process.env.ONLY_V1 || !answer.headers.has("payment-required")) return answer;
    const headersLeft = new Headers(answer.headers);
    headersLeft.delete("payment-required");
    return new Response(await answer.text(), { status: answer.status, headers: headersLeft });
  };
  return record;
}

/** Prints the one line the harness reads. */
export async function report(answer, sent, receipt) {
  const line = {
    status: answer.status,
    headers: Object.fromEntries(answer.headers),
    body: await answer.text(),
    sent,
    receipt,
  };
  console.log(JSON.stringify(line));
}
