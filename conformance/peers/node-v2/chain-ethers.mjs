// What ethers 6 sees of a chain: one JSON object of facts that must be the same on every chain.
// Input: RPC_URL, KEY (an account with Ether that has sent nothing yet), TOKEN_ARTIFACT (path of TestUsdc.json).
import { readFileSync } from "node:fs";
import { Contract, ContractFactory, id, JsonRpcProvider, Wallet, ZeroHash, zeroPadValue } from "ethers";

const { RPC_URL, KEY, TOKEN_ARTIFACT } = process.env;
const RECEIVER = "0x00000000000000000000000000000000000000a3";
const { abi, bytecode } = JSON.parse(readFileSync(TOKEN_ARTIFACT, "utf8"));
// ethers joins requests of one tick into a JSON-RPC batch by itself.
const provider = new JsonRpcProvider(RPC_URL, undefined, { pollingInterval: 50, cacheTimeout: -1 });
const wallet = new Wallet(KEY, provider);
const facts = {};

async function refusal(action) {
  try {
    await action();
    return "nothing";
  } catch (error) {
    return [error.code, error.reason ?? null, error.revert?.name ?? null, error.data ?? null];
  }
}

async function network() {
  const [net, fees, nonce, number] = await Promise.all([
    provider.getNetwork(),
    provider.getFeeData(),
    wallet.getNonce(),
    provider.getBlockNumber(),
  ]);
  facts.chainId = Number(net.chainId);
  facts.fees = [fees.gasPrice > 0n, fees.maxFeePerGas > 0n, fees.maxPriorityFeePerGas >= 0n];
  facts.startNonce = nonce;
  facts.numberIsANumber = Number.isInteger(number);
}

async function transfers() {
  for (const type of [0, 1, 2]) {
    const sent = await wallet.sendTransaction({ to: RECEIVER, value: 5n, type });
    const receipt = await sent.wait();
    const seen = await provider.getTransaction(sent.hash);
    facts[`transfer${type}`] = [receipt.status, receipt.type, Number(receipt.gasUsed), seen.type, seen.from === wallet.address, seen.nonce];
  }
  facts.received = String(await provider.getBalance(RECEIVER));
}

async function deploy() {
  const token = await new ContractFactory(abi, bytecode, wallet).deploy("Fare", "7", "FARE", 6);
  await token.waitForDeployment();
  const receipt = await token.deploymentTransaction().wait();
  facts.deploy = [await token.getAddress(), receipt.status, Number(receipt.gasUsed)];
  return new Contract(await token.getAddress(), abi, wallet);
}

async function tokenMoves(token) {
  const heard = [];
  const listening = new Promise((resolve) => {
    token.on(token.filters.Transfer(null, RECEIVER), ({ args }) => resolve(heard.push(args.map(String))));
  });
  await (await token.mint(wallet.address, 5000n)).wait();
  const moved = await (await token.transfer(RECEIVER, 1000n)).wait();
  facts.moved = [moved.status, Number(moved.gasUsed), moved.logs.length, moved.logs[0].eventName];
  facts.balances = [String(await token.balanceOf(wallet.address)), String(await token.balanceOf(RECEIVER))];
  const logs = await token.queryFilter(token.filters.Transfer(null, RECEIVER), 0, "latest");
  facts.logs = logs.map(({ args, index, removed }) => [...args.map(String), index, removed]);
  const topics = [id("Transfer(address,address,uint256)"), null, zeroPadValue(RECEIVER, 32)];
  facts.rawLogs = (await provider.getLogs({ address: token.target, topics, fromBlock: 0 })).length;
  facts.otherLogs = (await provider.getLogs({ address: token.target, topics: [ZeroHash], fromBlock: 0 })).length;
  let timer;
  await Promise.race([listening, new Promise((late) => (timer = setTimeout(late, 5_000)))]);
  clearTimeout(timer);
  await token.removeAllListeners();
  facts.heard = heard;
  facts.refusedCall = await refusal(() => token.transfer.staticCall(RECEIVER, 10n ** 9n));
  facts.refusedEstimate = await refusal(() => token.transfer.estimateGas(RECEIVER, 10n ** 9n));
  facts.refusedWait = await refusal(async () => (await token.transfer(RECEIVER, 10n ** 9n, { gasLimit: 100_000 })).wait());
}

async function authorization(token) {
  const types = ["from:address", "to:address", "value:uint256", "validAfter:uint256", "validBefore:uint256", "nonce:bytes32"];
  const message = { from: wallet.address, to: RECEIVER, value: 250n, validAfter: 0n, validBefore: 2n ** 48n, nonce: id("once") };
  const signature = await wallet.signTypedData(
    { name: "Fare", version: "7", chainId: facts.chainId, verifyingContract: token.target },
    { TransferWithAuthorization: types.map((field) => ({ name: field.split(":")[0], type: field.split(":")[1] })) },
    message,
  );
  const pay = token["transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)"];
  const receipt = await (await pay(...Object.values(message), signature)).wait();
  facts.authorization = [receipt.status, Number(receipt.gasUsed), receipt.logs.length];
  facts.authorizationAgain = await refusal(() => pay.staticCall(...Object.values(message), signature));
}

async function blocks() {
  const tags = ["latest", "safe", "finalized", "pending", "earliest"];
  const found = await Promise.all(tags.map((tag) => provider.getBlock(tag)));
  const at = Object.fromEntries(tags.map((tag, index) => [tag, found[index]]));
  const full = await provider.getBlock(at.latest.number, true);
  facts.blocks = {
    order: at.finalized.number <= at.safe.number && at.safe.number <= at.latest.number,
    earliest: at.earliest.number,
    linked: (await provider.getBlock(at.latest.number - 1)).hash === at.latest.parentHash,
    full: full.prefetchedTransactions.length,
    absent: [await provider.getBlock(10 ** 9), await provider.getTransaction(id("none")), await provider.getTransactionReceipt(id("none"))],
  };
  const next = new Promise((resolve) => provider.once("block", resolve));
  await (await wallet.sendTransaction({ to: RECEIVER, value: 1n })).wait(1);
  facts.heardBlock = (await next) > at.latest.number;
}

await network();
await transfers();
await tokenMoves(await deploy());
await authorization(new Contract(facts.deploy[0], abi, wallet));
await blocks();
provider.destroy();
console.log(JSON.stringify(facts, (_, value) => (typeof value === "bigint" ? String(value) : value)));
