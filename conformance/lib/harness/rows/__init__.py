"""The rows, one module per group."""

import importlib

# In the order they run: what needs nothing of ours first, then one part of ours at a time.
_GROUPS = (
    "self_check", "permits", "chains", "clients", "lightning", "managed", "tolls", "lnbits", "fleets", "databases", "real_lightning",
    "real_lnd",
    "gates", "permit_gates", "credit", "credit_aged", "credit_access", "credit_shapes",
    "credit_x402", "credit_4mica", "credit_gate",
    "servers", "facilitators", "hostile", "hostile_permits", "sellers", "anvil",
)


def load() -> None:
    """Fills the table of rows."""
    for group in _GROUPS:
        importlib.import_module(f"{__name__}.{group}")
