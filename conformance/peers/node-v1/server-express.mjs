// A seller on Express with npm's x402-express (protocol v1), default settings.
// Input: PORT, PAY_TO, FACILITATOR_URL, NETWORK_V1 (v1 name).
import express from "express";
import { paymentMiddleware } from "x402-express";
import { PAID, serve } from "./seller.mjs";

const { PAY_TO, FACILITATOR_URL, NETWORK_V1 } = process.env;
const config = { description: "sold", mimeType: "application/json" };
const routes = Object.fromEntries(PAID.map((route) => [route, { price: "$0.001", network: NETWORK_V1, config }]));
const app = express();
app.use(paymentMiddleware(PAY_TO, routes, { url: FACILITATOR_URL }));
serve(app, express);
