// The artifacts on a chain that is not ours: anvil from npm (or the program that ANVIL names), started on a free port
// and stopped at the end.
// anvil's own accounts sign, so nothing here knows how to hash typed data.
//
//   node --test test/anvil.test.mjs

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';

const START_TIMEOUT_MS = 20_000;
const BASE_SEPOLIA = 84532;
const BASE_SEPOLIA_USDC = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
const MULTICALL3 = '0xcA11bde05977b3631167028862bE2a173976CA11';
const PAYEE = '0x209693Bc6afc0C5328bA36FaF03C514EF312287C';
const SEPOLIA = 11155111;
const SEPOLIA_USDC = '0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238';
const CREATE2_DEPLOYER = '0x4e59b44847b379578588920cA78FbF26c0B4956C';
const SELECTOR = {
  approve: '0x095ea7b3',
  settle: '0x6b0b272c',
  mint: '0x40c10f19',
  balanceOf: '0x70a08231',
  domainSeparator: '0x3644e515',
  transferVrs: '0xe3ee160e',
  transferBytes: '0xcf092995',
  chainId: '0x3408e470',
};

let anvil;
let url;

before(() => start(BASE_SEPOLIA));
after(stop);

/** Starts a chain, which `rpc` speaks to from then on. */
async function start(chainId) {
  const binary = process.env.ANVIL ?? createRequire(import.meta.url).resolve('@foundry-rs/anvil-linux-amd64/bin/anvil');
  const args = ['--port', '0', '--no-mining', '--chain-id', String(chainId)];
  anvil = spawn(binary, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  url = await listening(anvil);
}

async function stop() {
  if (anvil.exitCode === null) {
    anvil.kill();
    await once(anvil, 'exit');
  }
}

test('the CREATE2 deployer is the one anvil preloads', async () => {
  const { address, deployedBytecode } = artifact('Create2Deployer');
  assert.equal(await rpc('eth_getCode', [address, 'latest']), deployedBytecode);
  assert.equal(deployedBytecode.length, 2 + 2 * 69);
});

test('runtime code set at the official address pays by both signature forms, once', async () => {
  const [deployer, payer, relayer] = await rpc('eth_accounts', []);
  const made = await send(deployer, undefined, artifact('TestUsdc').bytecode + texts('USDC', '2', 'USDC'));
  const runtime = await rpc('eth_getCode', [made.contractAddress, 'latest']);
  await rpc('anvil_setCode', [BASE_SEPOLIA_USDC, runtime]);

  const separator = await call(BASE_SEPOLIA_USDC, SELECTOR.domainSeparator);
  assert.equal(separator, '0x71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818');

  await send(relayer, BASE_SEPOLIA_USDC, SELECTOR.mint + word(payer) + word(500));
  const first = await signed(payer, 200, `0x${'11'.repeat(32)}`);
  await send(relayer, BASE_SEPOLIA_USDC, SELECTOR.transferVrs + first.fields + first.vrs);
  const second = await signed(payer, 300, `0x${'22'.repeat(32)}`);
  const bytesForm = word(7 * 32) + word(65) + second.signature.slice(2).padEnd(3 * 64, '0');
  await send(relayer, BASE_SEPOLIA_USDC, SELECTOR.transferBytes + second.fields + bytesForm);

  assert.equal(BigInt(await call(BASE_SEPOLIA_USDC, SELECTOR.balanceOf + word(payer))), 0n);
  assert.equal(BigInt(await call(BASE_SEPOLIA_USDC, SELECTOR.balanceOf + word(PAYEE))), 500n);
  await assert.rejects(
    call(BASE_SEPOLIA_USDC, SELECTOR.transferVrs + first.fields + first.vrs),
    /FiatTokenV2: authorization is used or canceled/,
  );
});

test('Multicall3 runtime code works where it is set', async () => {
  await rpc('anvil_setCode', [MULTICALL3, artifact('Multicall3').deployedBytecode]);
  assert.equal(BigInt(await call(MULTICALL3, SELECTOR.chainId)), BigInt(BASE_SEPOLIA));
});

test('the permit settler pays its treasury by all three kinds at once, on what looks like Sepolia', async () => {
  await stop();
  await start(SEPOLIA);
  const [deployer, payer, relayer] = await rpc('eth_accounts', []);
  // The creation code at the address answers with the runtime code that belongs there.
  await rpc('anvil_setCode', [SEPOLIA_USDC, artifact('TestUsdc').bytecode + texts('USDC', '2', 'USDC')]);
  await rpc('anvil_setCode', [SEPOLIA_USDC, await call(SEPOLIA_USDC, '0x')]);
  const permit2 = artifact('Permit2');
  await send(deployer, CREATE2_DEPLOYER, permit2.salt + permit2.bytecode.slice(2));
  const creation = word(0) + artifact('PermitSettler').bytecode.slice(2) + word(PAYEE);
  const settler = await call(CREATE2_DEPLOYER, `0x${creation}`);
  await send(deployer, CREATE2_DEPLOYER, `0x${creation}`);
  await send(relayer, SEPOLIA_USDC, SELECTOR.mint + word(payer) + word(700));
  await send(payer, SEPOLIA_USDC, SELECTOR.approve + word(permit2.address) + word(400));

  const token = { name: 'USDC', version: '2', chainId: SEPOLIA, verifyingContract: SEPOLIA_USDC };
  const deadline = 99999999999;
  const permit = await signature(payer, token, {
    Permit: 'address owner, address spender, uint256 value, uint256 nonce, uint256 deadline',
  }, { owner: payer, spender: settler, value: '100', nonce: '0', deadline: String(deadline) });
  const authorization = await signature(payer, token, {
    TransferWithAuthorization:
      'address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce',
  }, { from: payer, to: settler, value: '200', validAfter: '0', validBefore: String(deadline), nonce: `0x${word(9)}` });
  const transfer = await signature(payer, { name: 'Permit2', chainId: SEPOLIA, verifyingContract: permit2.address }, {
    PermitTransferFrom: 'TokenPermissions permitted, address spender, uint256 nonce, uint256 deadline',
    TokenPermissions: 'address token, uint256 amount',
  }, { permitted: { token: SEPOLIA_USDC, amount: '400' }, spender: settler, nonce: '77', deadline: String(deadline) });

  const item = (kind, value, nonce, vrs) =>
    word(kind) + word(SEPOLIA_USDC) + word(payer) + word(value) + word(0) + word(deadline) + word(nonce) + vrs;
  const items = item(0, 100, 0, permit) + item(1, 200, 9, authorization) + item(2, 400, 77, transfer);
  const data = SELECTOR.settle + word(64) + word(200_000) + word(3) + items;
  const settled = word(32) + word(3) + word(1) + word(1) + word(1);
  assert.equal(await call(settler, data), `0x${settled}`);
  const before = BigInt(await call(SEPOLIA_USDC, SELECTOR.balanceOf + word(PAYEE)));
  await send(relayer, settler, data);
  assert.equal(BigInt(await call(SEPOLIA_USDC, SELECTOR.balanceOf + word(PAYEE))) - before, 700n);
  assert.equal(BigInt(await call(SEPOLIA_USDC, SELECTOR.balanceOf + word(settler))), 0n);
  assert.equal(BigInt(await call(SEPOLIA_USDC, SELECTOR.balanceOf + word(payer))), 0n);
});

/** What an account of anvil's signs over typed data, as words v, r, s. The first type is the message's. */
async function signature(from, domain, types, message) {
  const names = { name: 'string', version: 'string', chainId: 'uint256', verifyingContract: 'address' };
  const described = Object.fromEntries(Object.entries(types).map(([name, list]) => [name, fields(list)]));
  described.EIP712Domain = Object.keys(domain).map((name) => ({ name, type: names[name] }));
  const signed = await rpc('eth_signTypedData_v4', [
    from,
    { domain, primaryType: Object.keys(types)[0], types: described, message },
  ]);
  const [r, s, v] = [signed.slice(2, 66), signed.slice(66, 130), signed.slice(130)];
  return word(`0x${v}`) + r + s;
}

/** An authorization for a Base Sepolia USDC payment, signed by one of anvil's accounts. */
async function signed(from, value, nonce) {
  const message = { from, to: PAYEE, value: String(value), validAfter: '0', validBefore: '99999999999', nonce };
  const signature = await rpc('eth_signTypedData_v4', [
    from,
    {
      domain: { name: 'USDC', version: '2', chainId: BASE_SEPOLIA, verifyingContract: BASE_SEPOLIA_USDC },
      primaryType: 'TransferWithAuthorization',
      types: {
        EIP712Domain: fields('string name, string version, uint256 chainId, address verifyingContract'),
        TransferWithAuthorization: fields(
          'address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce',
        ),
      },
      message,
    },
  ]);
  assert.equal(signature.length, 2 + 2 * 65);
  const [r, s, v] = [signature.slice(2, 66), signature.slice(66, 130), signature.slice(130)];
  return {
    signature,
    fields: word(from) + word(PAYEE) + word(value) + word(0) + word(99999999999) + nonce.slice(2),
    vrs: word(`0x${v}`) + r + s,
  };
}

function fields(list) {
  return list.split(', ').map((field) => {
    const [type, name] = field.split(' ');
    return { name, type };
  });
}

/** The constructor's arguments: three texts of at most 31 bytes, then 6 decimals. */
function texts(...values) {
  const head = values.map((_, i) => word((4 + 2 * i) * 32)).join('') + word(6);
  const tail = values.map((text) => {
    const hex = Buffer.from(text, 'utf8').toString('hex');
    return word(hex.length / 2) + hex.padEnd(64, '0');
  });
  return head + tail.join('');
}

function word(value) {
  return BigInt(value).toString(16).padStart(64, '0');
}

function artifact(name) {
  return JSON.parse(readFileSync(new URL(`../artifacts/${name}.json`, import.meta.url), 'utf8'));
}

/** Sends a transaction, mines it and returns its receipt. Fails when it reverted. */
async function send(from, to, data) {
  const hash = await rpc('eth_sendTransaction', [{ from, to, data }]);
  await rpc('evm_mine', []);
  const receipt = await rpc('eth_getTransactionReceipt', [hash]);
  assert.equal(receipt.status, '0x1');
  return receipt;
}

function call(to, data) {
  return rpc('eth_call', [{ to, data }, 'latest']);
}

async function rpc(method, params) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const { result, error } = await response.json();
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}

/** Waits until anvil says where it listens. */
async function listening(child) {
  const timer = setTimeout(() => child.kill(), START_TIMEOUT_MS);
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const address = /Listening on (\S+)/.exec(line)?.[1];
      if (address) {
        child.stdout.resume();
        return `http://${address}`;
      }
    }
  } finally {
    clearTimeout(timer);
  }
  throw new Error('anvil ended before it listened');
}
