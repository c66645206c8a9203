"""Facts shared by all rows: the network, the token and the well-known development accounts.

The keys are those every Ethereum development chain derives from the public phrase "test test … junk": public
knowledge, worth nothing.
"""

from typing import NamedTuple

CHAIN_ID = 84532
NETWORK = f"eip155:{CHAIN_ID}"
NETWORK_V1 = "base-sepolia"
USDC = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
TOKEN_NAME, TOKEN_VERSION, TOKEN_SYMBOL, TOKEN_DECIMALS = "USDC", "2", "USDC", 6
# Where the releases of x402-mock that know tokens by themselves look for them.
SEPOLIA_ID = 11155111
SEPOLIA_USDC = "0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238"
SEPOLIA_USDT = "0xbDeaD2A70Fe794D2f97b37EFDE497e68974a296d"
PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3"
PRICE = 1000  # $0.001 in the token's smallest unit


class Account(NamedTuple):
    """An address and the key that moves its money."""

    address: str
    key: str


FACILITATOR = Account(
    "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
)
PAYER = Account(
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
)
OTHER = Account(
    "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
)
PAYEE = Account(
    "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720",
    "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
)
# One for each Ethereum library, so that nonces and contract addresses are the same on every fresh chain.
LIBRARY_ACCOUNTS = {
    "web3": Account(
        "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
        "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    ),
    "viem": Account(
        "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65",
        "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    ),
    "ethers": Account(
        "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc",
        "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    ),
}
