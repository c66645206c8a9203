// Buys COUNT times with npm's @getalby/lightning-tools: `fetchWithL402`, or `fetch402` with that word. With `again` the last
// payment is shown once more, with `cap` a most of satoshis is set that is less than the price.
import { fetch402, fetchWithL402 } from "@getalby/lightning-tools/402";
import { wallet } from "./node.mjs";

const { URL: url, COUNT } = process.env;
const words = process.argv.slice(2);
const buy = words.includes("fetch402") ? fetch402 : fetchWithL402;
const options = words.includes("cap") ? { wallet, maxAmount: 1 } : { wallet };
const answers = [];
for (let n = 0; n < Number(COUNT); n += 1) answers.push(await buy(url, {}, options));
if (words.includes("again")) {
  answers.push(await buy(url, {}, { ...options, credentials: answers.at(-1).payment.credentials }));
}
const bodies = await Promise.all(answers.map((one) => one.text()));
const sats = answers.map((one) => one.payment?.amountSat ?? 0);
console.log(JSON.stringify({ statuses: answers.map((one) => one.status), bodies, sats }));
