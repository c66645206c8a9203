// Compiles every contract under src/ with the pinned solc from npm and writes artifacts/<Name>.json.
//
//   node build.mjs            write the artifacts
//   node build.mjs --check    recompile and fail when a committed artifact differs
//
// The compiler's metadata is left out of the bytecode, so the output depends on the sources, the settings and the
// compiler's version only, not on the machine or on comments.

import { readFileSync, writeFileSync, readdirSync, existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const solc = createRequire(import.meta.url)('solc');

const PINNED = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8')).devDependencies;
const CONTRACTS = [
  'TestUsdc',
  'Multicall3',
  'BatchSettler',
  'PermitSettler',
  'TestWalletFactory',
  'WalletProbe',
  'CreditCore',
  'CreditManager',
  'ValidationGuaranteeDecoder',
  'TestValidationRegistry',
];
// Not compiled: see their `source` fields. The first is compared with anvil's by test/anvil.test.mjs; the second's address
// proves its bytes (test/PermitSettler.t.sol).
const FOREIGN = ['Create2Deployer', 'Permit2'];
// A warning about transient storage, which OpenZeppelin's reentrancy guard uses, and clears, as the warning asks for.
const TRANSIENT_STORAGE = '2394';
const SETTINGS = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: 'cancun',
  metadata: { bytecodeHash: 'none', appendCBOR: false },
};

const check = process.argv.includes('--check');
const unknown = process.argv.slice(2).filter((arg) => arg !== '--check');
if (unknown.length > 0) fail(`unknown argument ${unknown[0]}; the only one is --check`);

if (!solc.version().startsWith(`${PINNED.solc}+`)) {
  fail(`solc ${solc.version()} is installed but ${PINNED.solc} is pinned: run npm ci`);
}

const output = compile();
mkdirSync(join(here, 'artifacts'), { recursive: true });
let stale = 0;
for (const name of CONTRACTS) {
  const file = join(here, 'artifacts', `${name}.json`);
  const fresh = `${JSON.stringify(artifact(output, name), null, 2)}\n`;
  const old = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (check && old !== fresh) {
    console.error(`artifacts/${name}.json differs from what src/${name}.sol compiles to: run node build.mjs`);
    stale += 1;
  } else if (!check) {
    writeFileSync(file, fresh);
  }
}
for (const file of readdirSync(join(here, 'artifacts'))) {
  if (![...CONTRACTS, ...FOREIGN].some((name) => file === `${name}.json`)) {
    console.error(`artifacts/${file} belongs to no contract`);
    stale += 1;
  }
}
if (stale > 0) process.exit(1);
console.log(`${check ? 'checked' : 'wrote'} ${CONTRACTS.length} artifacts with solc ${PINNED.solc}`);

/** Runs the compiler over the listed contracts and all they import; stops on any error or warning. */
function compile() {
  const sources = Object.fromEntries(
    CONTRACTS.map((name) => [`src/${name}.sol`, { content: readFileSync(join(here, 'src', `${name}.sol`), 'utf8') }]),
  );
  const outputSelection = {
    '*': {
      '*': ['abi', 'storageLayout', 'evm.bytecode.object', 'evm.deployedBytecode.object', 'evm.deployedBytecode.immutableReferences'],
      '': ['ast'],
    },
  };
  const input = { language: 'Solidity', sources, settings: { ...SETTINGS, outputSelection } };
  const out = JSON.parse(solc.compile(JSON.stringify(input), { import: readImport }));
  const errors = (out.errors ?? []).filter((e) => e.errorCode !== TRANSIENT_STORAGE);
  for (const e of errors) console.error(e.formattedMessage);
  if (errors.length > 0) fail('the compiler complained');
  return out;
}

/** Finds an imported file: packages in node_modules, everything else beside this script. */
function readImport(path) {
  for (const root of [here, join(here, 'node_modules')]) {
    const file = join(root, path);
    if (existsSync(file)) return { contents: readFileSync(file, 'utf8') };
  }
  return { error: `no such file: ${path}` };
}

/** The committed form of one compiled contract. */
function artifact(out, name) {
  const { abi, storageLayout, evm } = out.contracts[`src/${name}.sol`][name];
  const names = variableNames(out);
  return {
    contractName: name,
    abi,
    bytecode: `0x${evm.bytecode.object}`,
    deployedBytecode: `0x${evm.deployedBytecode.object}`,
    immutableReferences: Object.fromEntries(
      Object.entries(evm.deployedBytecode.immutableReferences).map(([id, places]) => [names.get(Number(id)), places]),
    ),
    storageLayout: layout(storageLayout),
    compiler: solc.version(),
    settings: SETTINGS,
  };
}

/** Slots by variable. The compiler's own form carries tree numbers that change with unrelated edits. */
function layout({ storage, types }) {
  return storage.map(({ label, slot, offset, type }) => ({
    variable: label,
    slot: Number(slot),
    offset,
    type: types?.[type]?.label ?? type,
  }));
}

/** "Contract.variable" by syntax tree number, the key under which the compiler lists immutables. */
function variableNames(out) {
  const names = new Map();
  for (const { ast } of Object.values(out.sources)) {
    for (const contract of ast.nodes.filter((node) => node.nodeType === 'ContractDefinition')) {
      for (const node of contract.nodes.filter((n) => n.nodeType === 'VariableDeclaration')) {
        names.set(node.id, `${contract.name}.${node.name}`);
      }
    }
  }
  return names;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
