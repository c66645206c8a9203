"""The things rows stand on, each started once, when the first row asks for it."""

from __future__ import annotations

from typing import NamedTuple

from . import peers
from .binary import faregate
from .chain import Chain
from .outcome import equal, once, require
from .paths import WORK
from .procs import Service
from .world import CHAIN_ID, SEPOLIA_ID, SEPOLIA_USDC, USDC, Account

_ENV_NAMES = (
    "FAREGATE_RPC_URL FAREGATE_CHAIN_ID FAREGATE_USDC FAREGATE_GATE_URL FAREGATE_FACILITATOR_URL "
    "FAREGATE_PAYER_KEY FAREGATE_PAYER_ADDRESS FAREGATE_PAYEE_KEY FAREGATE_PAYEE_ADDRESS "
    "FAREGATE_LND_REST FAREGATE_LND_MACAROON_PAYER FAREGATE_LND_MACAROON_SELLER"
).split()


class Dev(NamedTuple):
    """A running `faregate dev`."""

    service: Service
    chain: Chain
    gate: str
    facilitator: str
    payer: Account
    payee: Account
    lnd: str
    lnd_payer: str
    lnd_seller: str


class PeerWorld(NamedTuple):
    """npm's anvil with the token on it, and a peer's facilitator: nothing of ours."""

    chain: Chain
    facilitator: str


@once
def dev(name: str = "dev") -> Dev:
    """`faregate dev` with its own chain. Another name is another instance."""
    return _start_dev(name, "--rpc-port", "0")


@once
def dev_on_anvil() -> Dev:
    """`faregate dev` on npm's anvil, which carries the token already."""
    chain = Chain(peers.start_anvil("anvil-dev")[1])
    chain.place_token()
    return _start_dev("dev-on-anvil", "--rpc-url", chain.url)


@once
def dev_sepolia() -> Dev:
    """`faregate dev` as Sepolia, where all releases of x402-mock know USDC."""
    return _start_dev("dev-sepolia", "--rpc-port", "0", chain_id=SEPOLIA_ID, usdc=SEPOLIA_USDC)


def _start_dev(name: str, *flags: str, chain_id: int = CHAIN_ID, usdc: str = USDC) -> Dev:
    """Starts `faregate dev` on ports of its own choosing; all that is known of it is what its env file says."""
    WORK.mkdir(parents=True, exist_ok=True)
    file = WORK / f"{name}.env"
    file.unlink(missing_ok=True)
    command = [str(faregate()), "dev", "--env-file", str(file), "--chain-id", str(chain_id)]
    command += ["--gate-port", "0", "--facilitator-port", "0", "--lnd-port", "0", "--credit-port", "0", *flags]
    service = Service(f"faregate-{name}", command, {})
    service.until(lambda: file.exists() and _complete(file.read_text()), "complete env file", 60)
    values = parse(file.read_text())
    chain = Chain(values["FAREGATE_RPC_URL"], usdc)
    equal(values["FAREGATE_CHAIN_ID"], str(chain_id), "FAREGATE_CHAIN_ID in the env file")
    equal(values["FAREGATE_USDC"].lower(), usdc.lower(), "FAREGATE_USDC in the env file")
    equal(chain.chain_id(), chain_id, "eth_chainId of the dev chain")
    return Dev(
        service,
        chain,
        values["FAREGATE_GATE_URL"].rstrip("/"),
        values["FAREGATE_FACILITATOR_URL"].rstrip("/"),
        Account(values["FAREGATE_PAYER_ADDRESS"], values["FAREGATE_PAYER_KEY"]),
        Account(values["FAREGATE_PAYEE_ADDRESS"], values["FAREGATE_PAYEE_KEY"]),
        values["FAREGATE_LND_REST"].rstrip("/"),
        values["FAREGATE_LND_MACAROON_PAYER"],
        values["FAREGATE_LND_MACAROON_SELLER"],
    )


def parse(text: str) -> dict[str, str]:
    """The names and values of an env file."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    for line in lines:
        require("=" in line and not line.startswith("export "), "every line of the env file is NAME=value", line)
    return dict(line.split("=", 1) for line in lines)


def _complete(text: str) -> bool:
    return text.endswith("\n") and all(f"{name}=" in text for name in _ENV_NAMES)


@once
def anvil() -> Chain:
    """npm's anvil with chain id 84532 and the test USDC at its official address."""
    chain = Chain(peers.start_anvil()[1])
    chain.place_token()
    return chain


@once
def peer_world(facilitator: str = "py") -> PeerWorld:
    """anvil and a peer's facilitator on it."""
    return PeerWorld(anvil(), peers.start_facilitator(facilitator, anvil().url)[1])


@once
def peer_server(kind: str, facilitator: str) -> str:
    """A peer's seller in front of the facilitator at that address."""
    return peers.start_server(kind, facilitator)[1]
