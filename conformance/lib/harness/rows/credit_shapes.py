"""The credit core with the official Python SDKs: what a guarantee may look like, and a core that begins again on a chain it knows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

from .. import credit
from ..chain import word
from ..credit import RELEASES, Core, Pair, Raised
from ..outcome import equal, require
from ..table import row
from ..world import CHAIN_ID

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of secp256k1
_CONFIGURE, _CONFIG = "0x548c0786", "0x563550ae"  # configureGuaranteeVersion, getGuaranteeVersionConfig
_DEPOSIT = 10_000


def _words(signature: str) -> tuple[str, str, int]:
    """r and s as digits, and v."""
    digits = signature.removeprefix("0x")
    return digits[:64], digits[64:128], int(digits[128:], 16)


def _signatures(release: str) -> str:
    """Each form in which a signature is taken is taken, with each scheme; each other one is refused by name, and locks nothing."""
    pair = credit.pair(release, credit.core("dev"))
    pair.deposit(_DEPOSIT)
    tab, req, said = pair.tab(), 0, {}
    for scheme in ("eip712", "eip191"):
        for form in (str, lambda text: "0x" + text.removeprefix("0x").upper(), _from_zero):
            claims, signature, how = pair.sign(pair.claims(tab, req, 1), scheme)
            said = pair.recipient.call("recipient.issue_payment_guarantee", claims, form(signature), how)
            req += 1
    checked = pair.recipient.call("recipient.verify_payment_guarantee", {"$certificate": said})
    equal((checked["req_id"], checked["total_amount"]), (req - 1, req), "number and total of the last certificate")
    claims, signature, how = pair.sign(pair.claims(tab, req, 1))
    r, s, v = _words(signature)
    low, turned = int(s, 16), 55 - v
    refused = (
        ("invalid signature length", ("0x", f"0x{r}{s}", f"{signature}00", signature[:-1])),
        ("invalid hex signature", (f"0x{'z' * 130}", signature.removeprefix("0x"), "")),
        ("Invalid signature: expected 27 or 28 as the last byte of the signature", (f"0x{r}{s}1d", f"0x{r}{s}02", f"0x{r}{s}25")),
        ("Invalid signature: expected s in the lower half of the order of secp256k1", (f"0x{r}{_ORDER - low:064x}{turned:02x}",)),
        (
            "Invalid signature: expected r and s between 1 and the order of secp256k1",
            (f"0x{0:064x}{s}{v:02x}", f"0x{r}{0:064x}{v:02x}", f"0x{_ORDER:064x}{s}{v:02x}"),
        ),
    )
    for text, forms in refused:
        for form in forms:
            pair.unissued(400, f"signature: {text}", [claims, form, how])
    pair.unissued(400, "Invalid signature", [claims, f"0x{r}{s}{turned:02x}", how])
    pair.has(total=_DEPOSIT, locked=req)
    pair.recipient.call("recipient.issue_payment_guarantee", claims, signature, how)
    return f"{req} forms taken, {1 + sum(len(forms) for _, forms in refused)} refused"


def _from_zero(signature: str) -> str:
    """As some wallets write it: v is 0 or 1."""
    r, s, v = _words(signature)
    return f"0x{r}{s}{v - 27:02x}"


def _condition(core: Core, **other: Any) -> dict[str, Any]:
    return {
        "validation_registry_address": core.registry, "validation_chain_id": CHAIN_ID, "validator_address": core.validator,
        "validator_agent_id": 7, "min_validation_score": 80, "required_validation_tag": "", "job_hash": "0x" + "11" * 32, **other,
    }


def _conditions() -> str:
    """Conditions that can never be met, or be read in two ways, get no certificate; the nearest ones that can do."""
    core = credit.core("dev")
    pair = credit.pair("1.1.1", core)
    pair.deposit(_DEPOSIT)
    tab = pair.tab(guarantee_version=2)
    for job, text in ((0, "job_hash must not be zero"), (0x260, "job_hash must not be 0x260")):
        claims = pair.claims(tab, 0, 1, validation=_condition(core, job_hash=f"0x{job:064x}"))
        pair.unissued(400, text, pair.sign(claims))
    for score in (0, 101, 255, 256, -1):
        claims = pair.claims(tab, 0, 1, validation=_condition(core, min_validation_score=score))
        text = f"min_validation_score must be in [1, 100], got {score}"
        pair.payer.refused("ValueError", None, text, "user.sign_payment", claims, {"$scheme": "eip712"})
        text = "claims: min_validation_score: expected a number from 1 to 100"
        pair.recipient.refused("RpcError", 400, text, "rpc.issue_guarantee", _by_hand(pair, tab, score))
    for req, other in enumerate(({"min_validation_score": 1}, {"min_validation_score": 100}, {"job_hash": f"0x{1:064x}"})):
        pair.issue(tab, req, 1, validation=_condition(core, **other))
    pair.has(total=_DEPOSIT, locked=3)
    return "no job, an ambiguous one, scores out of range: refused; scores 1 and 100: certified"


def _by_hand(pair: Pair, tab: int, score: int) -> dict[str, Any]:
    """A request that the SDK sends and does not make."""
    zero = "0x" + "00" * 32
    claims = {
        "version": "v2", "user_address": pair.payer.address, "recipient_address": pair.recipient.address, "tab_id": hex(tab),
        "req_id": "0x0", "amount": "0x1", "asset_address": pair.asset, "timestamp": 1,
        **_condition(pair.core, min_validation_score=score, validator_agent_id="0x7"),
        "validation_subject_hash": zero, "validation_request_hash": zero,
    }
    return {"claims": claims, "signature": "0x" + "11" * 64 + "1b", "scheme": "eip712"}


@contextlib.contextmanager
def _without_two(core: Core) -> Iterator[None]:
    """The contract's governor takes version 2 back, and gives it again."""
    found = core.chain.call("eth_call", {"to": core.contract, "data": _CONFIG + word(2)}, "latest").removeprefix("0x")
    key_domain_decoder = found[: 6 * 64]

    def switch(enabled: int) -> None:
        core.send_as(core.admin, core.contract, _CONFIGURE + word(2) + key_domain_decoder + word(enabled))
        expected = [1, 2] if enabled else [1]
        versions = "accepted_guarantee_versions"
        credit.wait(lambda: core.get("/core/public-params")[versions] == expected, lambda: f"{versions} {expected}")

    switch(0)
    try:
        yield
    finally:
        switch(1)


def _versions() -> str:
    """A version that the contract does not redeem any more is not certified, and not promised by new tabs."""
    core = credit.core("dev")
    pair = credit.pair("1.1.1", core)
    pair.deposit(_DEPOSIT)
    tab = pair.tab(guarantee_version=2)
    signed = pair.sign(pair.claims(tab, 0, 1, validation=_condition(core)))
    with _without_two(core):
        pair.unissued(400, "guarantee request version 2 is not accepted; accepted versions are [1]", signed)
        pair.unopened(400, "guarantee version 2 is not accepted by core", pair.token, guarantee_version=2)
        pair.issue(pair.tab(), 0, 1)
        pair.has(total=_DEPOSIT, locked=1)
    pair.recipient.call("recipient.issue_payment_guarantee", *signed)
    pair.has(total=_DEPOSIT, locked=2)
    return "refused while the contract does not take it, certified when it does again"


def _again() -> str:
    """The core's books are in memory; the collateral is on the chain, and so is the contract, which the next core finds."""
    first = credit.core("anvil", "again")
    pair = credit.pair("1.1.1", first)
    pair.deposit(_DEPOSIT)
    old = pair.tab()
    pair.issue(old, 0, 400)
    pair.payer.call("user.approve_erc20", pair.token, 400)
    pair.payer.call("user.pay_tab", old, 0, 400, pair.recipient.address, pair.token)
    pair.has(total=_DEPOSIT, locked=0)
    second = credit.started_again(first)
    equal((second.contract, second.registry), (first.contract, first.registry), "contract and registry of the next core")
    payer, recipient = (credit.wallet("1.1.1", second, one.key) for one in (pair.payer, pair.recipient))
    pair = Pair(payer, recipient, pair.token)
    pair.has(total=_DEPOSIT, locked=0)
    equal(recipient.call("recipient.get_tab", old), None, "the tab of the core before")
    equal(payer.call("user.get_tab_payment_status", old)["paid"], 400, "what the contract knows of it")
    tab = pair.tab()
    require(tab != old, "the next tab is another one", tab)
    pair.issue(tab, 0, 600)
    pair.has(total=_DEPOSIT, locked=600)
    pair.payer.call("user.approve_erc20", pair.token, 600)
    pair.payer.call("user.pay_tab", tab, 0, 600, recipient.address, pair.token)
    pair.has(total=_DEPOSIT, locked=0)
    said: dict[str, Any] | Raised = {}

    def recorded() -> bool:
        nonlocal said
        said = payer.ask("user.get_tab_payment_status", tab)
        return isinstance(said, dict) and said["paid"] == 600

    credit.wait(recorded, lambda: f"600 recorded in the contract; seen: {said}")
    return "the same contract, its collateral, new tabs"


def _rows() -> None:
    for release in RELEASES:
        about = f"sdk-4mica {release} hands in signatures of every form, taken and refused (dev)"
        row(f"credit/signatures-{release}+dev", about)(partial(_signatures, release))
    row("credit/conditions-1.1.1+dev", "sdk-4mica 1.1.1 signs under conditions that cannot be met (dev)")(_conditions)
    row("credit/versions-1.1.1+dev", "sdk-4mica 1.1.1 when the contract takes version 2 back (dev)")(_versions)
    row("credit/again-1.1.1+anvil", "sdk-4mica 1.1.1 and a core that starts anew where its contract stands (anvil)")(_again)


_rows()
