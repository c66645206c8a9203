// What viem sees of a chain: one JSON object of facts that must be the same on every chain.
// Input: RPC_URL, CHAIN_ID, KEY (an account with Ether that has sent nothing yet), TOKEN_ARTIFACT (path of TestUsdc.json).
import { readFileSync } from "node:fs";
import {
  BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createTestClient,
  createWalletClient,
  defineChain,
  http,
  parseEther,
  toHex,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";

const { RPC_URL, CHAIN_ID, KEY, TOKEN_ARTIFACT } = process.env;
const RECEIVER = "0x00000000000000000000000000000000000000a2";
const FRESH = "0x00000000000000000000000000000000000000F2";
const { abi, bytecode, deployedBytecode } = JSON.parse(readFileSync(TOKEN_ARTIFACT, "utf8"));
const chain = defineChain({
  id: Number(CHAIN_ID),
  name: "local",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [RPC_URL] } },
  contracts: { multicall3: { address: "0xcA11bde05977b3631167028862bE2a173976CA11" } },
});
const account = privateKeyToAccount(KEY);
const common = { chain, transport: http(RPC_URL, { batch: true }), pollingInterval: 50, cacheTime: 0 };
const reader = createPublicClient(common);
const wallet = createWalletClient({ ...common, account });
const test = createTestClient({ ...common, mode: "anvil" });
const facts = {};

const mined = async (hash) => reader.waitForTransactionReceipt({ hash: await hash, timeout: 20_000 });

async function refusal(action) {
  try {
    await action();
    return "nothing";
  } catch (error) {
    if (!(error instanceof BaseError)) return String(error);
    const revert = error.walk((cause) => cause instanceof ContractFunctionRevertedError);
    return revert ? [revert.name, revert.reason ?? null, revert.data?.errorName ?? null] : error.name;
  }
}

async function network() {
  facts.chainId = await reader.getChainId();
  const [price, fees, history] = await Promise.all([
    reader.getGasPrice(),
    reader.estimateFeesPerGas(),
    reader.getFeeHistory({ blockCount: 1, rewardPercentiles: [25, 75] }),
  ]);
  facts.fees = [price > 0n, fees.maxFeePerGas > 0n, fees.maxPriorityFeePerGas >= 0n];
  facts.feeHistory = [history.baseFeePerGas.length, history.gasUsedRatio.length, history.reward[0].length];
  facts.startNonce = await reader.getTransactionCount({ address: account.address });
}

async function deploy() {
  const args = ["Fare", "7", "FARE", 6];
  const receipt = await mined(wallet.deployContract({ abi, bytecode, args }));
  facts.deploy = [receipt.status, receipt.type, receipt.contractAddress, Number(receipt.gasUsed)];
  return receipt.contractAddress;
}

async function tokenMoves(address) {
  const token = { address, abi };
  await mined(wallet.writeContract({ ...token, functionName: "mint", args: [account.address, 5000n] }));
  const { request } = await reader.simulateContract({ ...token, account, functionName: "transfer", args: [RECEIVER, 1000n] });
  const moved = await mined(wallet.writeContract(request));
  facts.moved = [moved.status, Number(moved.gasUsed), moved.logs.length];
  const filter = { ...token, eventName: "Transfer", args: { to: RECEIVER }, fromBlock: 0n };
  const logs = await reader.getContractEvents(filter);
  facts.logs = logs.map(({ args }) => [args.from, args.to, String(args.value)]);
  facts.logsStrict = (await reader.getContractEvents({ ...filter, blockHash: moved.blockHash, fromBlock: undefined })).length;
  // What many readers do: several reads in one call of the canonical Multicall3.
  const code = await reader.getCode({ address: chain.contracts.multicall3.address });
  facts.multicall3 = Boolean(code) || "absent";
  if (code) {
    const reads = ["name", "version", "decimals"].map((functionName) => ({ ...token, functionName }));
    facts.multicall = await reader.multicall({ contracts: reads, allowFailure: false });
  }
  facts.refused = await refusal(() =>
    reader.simulateContract({ ...token, account, functionName: "transfer", args: [RECEIVER, 10n ** 9n] }),
  );
  facts.refusedEstimate = await refusal(() =>
    reader.estimateContractGas({ ...token, account, functionName: "transfer", args: [RECEIVER, 10n ** 9n] }),
  );
}

async function authorization(address) {
  const names = { from: "address", to: "address", value: "uint256", validAfter: "uint256", validBefore: "uint256", nonce: "bytes32" };
  const message = { from: account.address, to: RECEIVER, value: 250n, validAfter: 0n, validBefore: 2n ** 48n, nonce: toHex(66, { size: 32 }) };
  const signature = await wallet.signTypedData({
    domain: { name: "Fare", version: "7", chainId: chain.id, verifyingContract: address },
    types: { TransferWithAuthorization: Object.entries(names).map(([name, type]) => ({ name, type })) },
    primaryType: "TransferWithAuthorization",
    message,
  });
  const call = { address, abi, functionName: "transferWithAuthorization", args: [...Object.values(message), signature] };
  const receipt = await mined(wallet.writeContract(call));
  facts.authorization = [receipt.status, Number(receipt.gasUsed), receipt.logs.length];
  facts.authorizationAgain = await refusal(() => reader.simulateContract({ ...call, account }));
}

async function blocks() {
  const at = Object.fromEntries(
    await Promise.all(
      ["latest", "safe", "finalized", "pending", "earliest"].map(async (blockTag) => [blockTag, await reader.getBlock({ blockTag })]),
    ),
  );
  facts.blocks = {
    order: at.finalized.number <= at.safe.number && at.safe.number <= at.latest.number,
    earliest: Number(at.earliest.number),
    byHash: (await reader.getBlock({ blockHash: at.latest.hash })).number === at.latest.number,
    gasLimit: at.latest.gasLimit > 20_000_000n,
    baseFee: at.latest.baseFeePerGas > 0n,
  };
  const seen = [];
  const stop = reader.watchBlocks({ onBlock: (block) => seen.push(block.number), onError: (error) => seen.push(String(error)) });
  await mined(wallet.sendTransaction({ to: RECEIVER, value: 1n }));
  const limit = Date.now() + 5_000;
  while (!seen.some((number) => number > at.latest.number) && Date.now() < limit) await new Promise((next) => setTimeout(next, 20));
  stop();
  facts.watched = seen.every((number) => typeof number === "bigint") && seen.some((number) => number > at.latest.number);
}

async function controls() {
  const balance = () => reader.getBalance({ address: FRESH });
  const id = await test.snapshot();
  await test.setBalance({ address: FRESH, value: parseEther("3") });
  await test.setCode({ address: FRESH, bytecode: deployedBytecode });
  await test.setStorageAt({ address: FRESH, index: 1, value: toHex(7, { size: 32 }) });
  await test.setNonce({ address: FRESH, nonce: 9 });
  facts.set = [
    String(await balance()),
    (await reader.getCode({ address: FRESH })) === deployedBytecode,
    await reader.getStorageAt({ address: FRESH, slot: toHex(1) }),
    await reader.getTransactionCount({ address: FRESH }),
  ];
  const before = await reader.getBlock();
  await test.mine({ blocks: 3 });
  await test.increaseTime({ seconds: 1000 });
  await test.mine({ blocks: 1 });
  const later = await reader.getBlock();
  await test.setNextBlockTimestamp({ timestamp: later.timestamp + 500n });
  await test.mine({ blocks: 1 });
  const last = await reader.getBlock();
  facts.mined = Number(last.number - before.number);
  facts.timeJumped = later.timestamp - before.timestamp >= 1000n;
  facts.timeSet = Number(last.timestamp - later.timestamp);
  await test.revert({ id });
  facts.reverted = [String(await balance()), (await reader.getBlockNumber()) === before.number, (await reader.getCode({ address: FRESH })) ?? null];
}

await network();
const token = await deploy();
await tokenMoves(token);
await authorization(token);
await blocks();
await controls();
console.log(JSON.stringify(facts));
