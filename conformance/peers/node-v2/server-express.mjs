// A seller on Express with npm's @x402/express (protocol v2), default settings.
// Input: PORT, PAY_TO, FACILITATOR_URL, NETWORK (CAIP-2).
import express from "express";
import { paymentMiddleware, x402ResourceServer } from "@x402/express";
import { HTTPFacilitatorClient } from "@x402/core/server";
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { PAID, serve } from "./seller.mjs";

const { PAY_TO, FACILITATOR_URL, NETWORK } = process.env;
const server = new x402ResourceServer(new HTTPFacilitatorClient({ url: FACILITATOR_URL })).register(
  NETWORK,
  new ExactEvmScheme(),
);
const accepts = { scheme: "exact", price: "$0.001", network: NETWORK, payTo: PAY_TO };
const routes = Object.fromEntries(
  PAID.map((route) => [route, { accepts, description: `${route}, sold`, mimeType: "application/json" }]),
);
const app = express();
app.use(paymentMiddleware(routes, server));
serve(app, express);
