// A facilitator made of npm's @x402/core and @x402/evm, both protocol versions.
// Input: PORT, NETWORK (CAIP-2), EVM_RPC_URL, EVM_PRIVATE_KEY (pays the gas).
import express from "express";
import { x402Facilitator } from "@x402/core/facilitator";
import { toFacilitatorEvmSigner } from "@x402/evm";
import { registerExactEvmScheme } from "@x402/evm/exact/facilitator";
import { createWalletClient, defineChain, http, publicActions } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const { PORT, NETWORK, EVM_RPC_URL, EVM_PRIVATE_KEY } = process.env;
const chain = defineChain({
  id: Number(NETWORK.split(":")[1]),
  name: "local",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [EVM_RPC_URL] } },
});
const account = privateKeyToAccount(EVM_PRIVATE_KEY);
const wallet = createWalletClient({ account, chain, transport: http(EVM_RPC_URL), pollingInterval: 50 }).extend(
  publicActions,
);
const facilitator = new x402Facilitator();
registerExactEvmScheme(facilitator, {
  signer: toFacilitatorEvmSigner({ ...wallet, address: account.address }),
  networks: NETWORK,
});

const app = express();
app.use(express.json());
for (const verb of ["verify", "settle"]) {
  app.post(`/${verb}`, async (req, res) => {
    try {
      res.json(await facilitator[verb](req.body.paymentPayload, req.body.paymentRequirements));
    } catch (error) {
      res.status(500).json({ error: String(error) });
    }
  });
}
app.get("/supported", (_, res) => res.json(facilitator.getSupported()));
app.get("/health", (_, res) => res.json({ ok: true }));
app.listen(Number(PORT), "127.0.0.1");
