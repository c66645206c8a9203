"""The credit core with the official Python SDKs when time has passed: remuneration, expiry, withdrawal.

A chain's time does not go back, so each of its rows does what has to be done first before the first of them lets time pass: the
grace period of remunerations, then the life of certificates, then the grace period of withdrawals. Rows are in that order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from .. import credit, credit_gate, wire
from ..chain import word
from ..credit import WHERE, Pair
from ..credit_offers import PRICE, accepted, ask, offer, signed
from ..outcome import Fail, Skip, equal, once, require, shown
from ..table import row
from ..world import CHAIN_ID, USDC

_GRACE, _EXPIRATION, _WITHDRAWAL = "0x47038224", "0x182d3506", "0x4b35928f"  # the contract's durations
# TabNotYetOverdue, TabExpired, TabPreviouslyRemunerated
_NOT_YET, _EXPIRED, _PAID_BEFORE = "0x0d544bb1", "0x70d932af", "0x77f5e8ba"
# ValidationLookupFailed, ValidationPending, ValidationScoreTooLow, ValidationTagMismatch
_NOT_ASKED, _PENDING, _TOO_LOW, _OTHER_TAG = "0x105163d4", "0x860263f8", "0xf44670f9", "0x6f512d40"
_REQUEST, _RESPONSE = "0xaaf400c4", "0x3d659a96"  # validationRequest, validationResponse
_DEPOSIT, _DEBT = 1_000_000, 300_000
_AGENT, _SCORE, _TAG = 7, 80, "hard-finality"


class Debt(NamedTuple):
    """Certificates of one tab, and when the last of them was signed."""

    pair: Pair
    tab: int
    certificates: list[dict[str, Any]]
    signed_at: int

    def wait_for(self, duration: str) -> None:
        """Lets a duration of the contract pass since then."""
        self.pair.core.until(self.signed_at + self.pair.core.seconds(duration) + 1)

    def redeems(self, which: int, amount: int, by: credit.Wallet | None = None) -> None:
        """A certificate is redeemed and brings the recipient this much."""
        who, recipient, core = by or self.pair.recipient, self.pair.recipient, self.pair.core
        before = core.wealth(recipient.address, self.pair.token)
        receipt = who.call("recipient.remunerate", self.certificates[which])
        equal(receipt["status"], 1, "status of the remuneration")
        gas = 0 if self.pair.token or by else _gas(receipt)
        equal(core.wealth(recipient.address, self.pair.token), before + amount - gas, "what the recipient has")

    def settled_as(self, settlement: str) -> None:
        """Waits until the core says so of the tab."""
        said: dict[str, Any] = {}

        def there() -> bool:
            nonlocal said
            said = self.pair.recipient.call("recipient.get_tab", self.tab)
            return bool(said["settlement_status"] == settlement)

        credit.wait(there, lambda: f"settlement {settlement}; seen: {shown(said)}")


def _gas(receipt: dict[str, Any]) -> int:
    return int(receipt["gasUsed"] * receipt["effectiveGasPrice"])


def _owes(release: str, where: str, token: str | None, amounts: list[int]) -> Debt:
    """A payer who owes and does not pay."""
    pair = credit.pair(release, credit.core(where, "aged"), token)
    pair.deposit(_DEPOSIT)
    tab, certificates, signed_at = pair.tab(), [], 0
    for req, amount in enumerate(amounts):
        claims = pair.claims(tab, req, amount)
        signed_at = claims["$claims"]["timestamp"]
        signed = pair.sign(claims)
        certificates.append({"$certificate": pair.recipient.call("recipient.issue_payment_guarantee", *signed)})
    pair.has(total=_DEPOSIT, locked=sum(amounts))
    return Debt(pair, tab, certificates, signed_at)


# ---- what is done before time passes -----------------------------------------------------------------------------------------


def _before_remuneration(release: str, where: str, token: str | None) -> Debt:
    debt = _owes(release, where, token, [100_000, 200_000])
    if release == "1.1.1":
        debt.pair.recipient.unpaid(_NOT_YET, debt.certificates[1])
    return debt


def _before_withdrawal(release: str, where: str, token: str | None) -> Debt:
    """Asks, is held to it, thinks better of it, and asks again."""
    pair = credit.pair(release, credit.core(where, "aged"), token)
    pair.deposit(_DEPOSIT)
    payer, tab = pair.payer, pair.tab()
    payer.reverted("CancelWithdrawalError", "user.cancel_withdrawal", token)
    payer.reverted("RequestWithdrawalError", "user.request_withdrawal", _DEPOSIT + 1, token)
    _noticed(pair, "user.request_withdrawal", _DEPOSIT - _DEBT + 1, token)
    seen = pair.on_chain()
    equal((seen["collateral"], seen["withdrawal_request_amount"]), (_DEPOSIT, _DEPOSIT - _DEBT + 1), "the request, on the chain")
    require(seen["withdrawal_request_timestamp"] > 0, "it is dated", seen)
    signed = pair.sign(pair.claims(tab, 0, _DEBT))
    pair.unissued(400, "Not enough free collateral", signed)
    _noticed(pair, "user.cancel_withdrawal", token)
    equal(pair.on_chain()["withdrawal_request_amount"], 0, "the request, cancelled")
    pair.recipient.call("recipient.issue_payment_guarantee", *signed)
    _noticed(pair, "user.request_withdrawal", _DEPOSIT - _DEBT, token)
    payer.reverted("FinalizeWithdrawalError", "user.finalize_withdrawal", token)
    return Debt(pair, tab, [], pair.on_chain()["withdrawal_request_timestamp"])


def _noticed(pair: Pair, path: str, *values: Any) -> None:
    """A transaction about a withdrawal, waited for until the core has it in its books."""
    before = (pair.balance() or {})["version"]
    equal(pair.payer.call(path, *values)["status"], 1, f"status of {path}")
    credit.wait(lambda: (pair.balance() or {})["version"] != before, lambda: f"{path} noticed by the core")


def _before_validation(release: str, where: str, token: str | None) -> Debt:
    """Two guarantees under a condition, on a tab that nobody said would have one; one is signed with each scheme."""
    pair = credit.pair(release, credit.core(where, "aged"), token)
    pair.deposit(_DEPOSIT)
    core, tab, certificates, claims = pair.core, pair.tab(), [], {}
    validation = {
        "validation_registry_address": core.registry, "validation_chain_id": CHAIN_ID, "validator_address": core.validator,
        "validator_agent_id": _AGENT, "min_validation_score": _SCORE, "required_validation_tag": _TAG, "job_hash": "0x" + "11" * 32,
    }
    for wrong, text in (
        ({"validation_registry_address": core.contract}, "validation registry is not trusted"),
        ({"validation_chain_id": 1}, "validation_chain_id is not that of this core"),
    ):
        claims = pair.claims(tab, 0, 1, validation={**validation, **wrong})
        pair.unissued(400, text, pair.sign(claims))
    for field in ("validation_subject_hash", "validation_request_hash"):
        claims = pair.claims(tab, 0, 1, validation={**validation, field: "0x" + "22" * 32})
        said = pair.recipient.ask("recipient.issue_payment_guarantee", *pair.sign(claims))
        require(isinstance(said, credit.Raised) and said.status == 400 and "hash" in said.text, f"a wrong {field} is 400", said)
    for req, scheme in enumerate(("eip712", "eip191")):
        claims = pair.claims(tab, req, _DEBT // 2, validation=validation)
        signed = pair.sign(claims, scheme)
        certificates.append({"$certificate": pair.recipient.call("recipient.issue_payment_guarantee", *signed)})
        said = pair.recipient.call("recipient.verify_payment_guarantee", certificates[-1])
        equal((said["version"], said["domain"]), (2, pair.recipient.opened["domains"]["2"]), "version and domain")
        equal((said["req_id"], said["total_amount"]), (req, (req + 1) * (_DEBT // 2)), "number and total")
        policy = {name: said["validation_policy"][name] for name in validation}
        equal({**policy, "validator_address": policy["validator_address"].lower()},
              {**validation, "validator_address": core.validator.lower()}, f"the condition, signed with {scheme}")
    equal(core.get(f"/core/tabs/{tab:#x}")["accepted_guarantee_version"], 2, "the version that the tab adopted")
    refusal = f"tab {tab:#x} only accepts guarantee version 2, got 1"
    pair.unissued(400, refusal, pair.sign(pair.claims(tab, 2, 1)))
    require(pair.tab() != tab, "a tab of version 1 is another one")
    equal(pair.tab(guarantee_version=2), tab, "the tab of version 2")
    return Debt(pair, tab, certificates, claims["$claims"]["timestamp"])


def _before_x402(release: str, where: str, token: str | None) -> Debt:
    """Two payments of X402Flow, settled by our facilitator."""
    pair = credit.pair(release, credit.core(where, "aged"), token)
    pair.deposit(_DEPOSIT)
    return _settled(pair, [offer(pair, maxAmountRequired=str(amount)) for amount in (100_000, 200_000)])


def _before_x402_v2(release: str, where: str, token: str | None) -> Debt:
    """The same under a validator's condition, which `_validated` meets."""
    pair = credit.pair(release, credit.core(where, "aged"), token)
    pair.deposit(_DEPOSIT)
    asked = {"validatorAgentId": str(_AGENT), "minValidationScore": _SCORE, "requiredValidationTag": _TAG}
    return _settled(pair, [{**accepted(pair, **asked), "amount": str(_DEBT // 2)} for _ in range(2)])


def _settled(pair: Pair, offers: list[dict[str, Any]]) -> Debt:
    certificates, claims = [], {}
    for offered in offers:
        header = signed(pair, offered)
        settled = ask(pair, "settle", header, offered)
        require(settled["success"], "the payment is settled", settled)
        certificates.append({"$certificate": settled["certificate"]})
        claims = wire.decode_header(header, "the payment")["payload"]["claims"]
    last = pair.recipient.call("recipient.verify_payment_guarantee", certificates[-1])
    equal((last["total_amount"], last["version"]), (_DEBT, 2 if "amount" in offers[0] else 1), "total and version")
    pair.has(total=_DEPOSIT, locked=_DEBT)
    if pair.recipient.release == "1.1.1":
        pair.recipient.unpaid(_NOT_ASKED if "amount" in offers[0] else _NOT_YET, certificates[-1])
    return Debt(pair, int(claims["tab_id"], 16), certificates, claims["timestamp"])


def _before_gate(release: str, where: str, version: int) -> Debt:
    """Two purchases at our gate, whose receipts have the certificates."""
    pair = credit_gate.pair(release, credit.core(where, "aged"))
    pair.deposit(_DEPOSIT)
    certificates, claims = [], {}
    for _ in range(2):
        header = credit_gate.signed(pair, version)
        certificates.append(credit_gate.buy(pair.core, version, header).certificate)
        claims = wire.decode_header(header, "the payment")["payload"]["claims"]
    pair.has(total=_DEPOSIT, locked=PRICE * 2)
    return Debt(pair, int(claims["tab_id"], 16), certificates, claims["timestamp"])


# ---- what is done after ------------------------------------------------------------------------------------------------------


def _remunerated(debt: Debt) -> str:
    """An unpaid debt is paid from the collateral."""
    debt.wait_for(_GRACE)
    pair, note, by = debt.pair, "", None
    if pair.recipient.release == "0.4.3":
        said = pair.recipient.ask("recipient.remunerate", debt.certificates[1])
        require(isinstance(said, credit.Raised) and said.kind == "RemunerateError", "0.4.3 cannot do it", said)
        require("SignatureToG2" in said.text, "for a function that py-ecc does not have", said)
        by, note = credit.wallet("1.1.1", pair.core), "; 0.4.3 cannot expand its signature, so 1.1.1 did it for the recipient"
    debt.redeems(1, _DEBT, by)
    status = pair.recipient.call("recipient.get_tab_payment_status", debt.tab)
    equal((status["paid"], status["remunerated"], status["asset"]), (0, True, pair.asset), "status in the contract")
    pair.has(total=_DEPOSIT - _DEBT, locked=0)
    debt.settled_as("REMUNERATED")
    equal(pair.on_chain()["collateral"], _DEPOSIT - _DEBT, "collateral by the contract")
    events = pair.recipient.call("recipient.get_collateral_events_for_tab", debt.tab)
    equal([one["amount"] for one in events if one["event_type"] == "REMUNERATE"], [_DEBT], "REMUNERATE events")
    equal([one["tab_id"] for one in pair.recipient.call("recipient.list_settled_tabs")], [debt.tab], "settled tabs")
    (by or pair.recipient).unpaid(_PAID_BEFORE, debt.certificates[1])
    return f"{_DEBT} from the collateral, once{note}"


def _first(debt: Debt) -> str:
    """The payer redeems the first certificate of the tab; whoever holds the last one is still paid in full."""
    debt.wait_for(_GRACE)
    debt.redeems(0, 100_000, by=debt.pair.payer)
    debt.pair.has(total=_DEPOSIT - 100_000, locked=200_000)
    debt.redeems(1, 200_000)
    debt.pair.has(total=_DEPOSIT - _DEBT, locked=0)
    debt.settled_as("REMUNERATED")
    debt.pair.recipient.unpaid(_PAID_BEFORE, debt.certificates[1])
    return "100000 by the payer's hand, the other 200000 by the recipient's"


def _validated(debt: Debt) -> str:
    """Nothing without the validator's answer, nothing for a low score, and then everything."""
    debt.wait_for(_GRACE)
    _answered(debt)
    debt.redeems(1, _DEBT)
    debt.pair.has(total=_DEPOSIT - _DEBT, locked=0)
    debt.settled_as("REMUNERATED")
    return "refused until the validator's answer was good enough, then paid"


def _answered(debt: Debt) -> None:
    """The validator answers in the registry what the last certificate depends on; until it is good enough, nothing is paid."""
    pair, core, recipient, last = debt.pair, debt.pair.core, debt.pair.recipient, debt.certificates[-1]
    policy = recipient.call("recipient.verify_payment_guarantee", last)["validation_policy"]
    asked, score, wanted = (policy[name] for name in ("validation_request_hash", "min_validation_score", "required_validation_tag"))
    recipient.unpaid(_NOT_ASKED, last)
    request = [core.validator, policy["validator_agent_id"], 4 * 32, asked, 0]
    core.send_as(pair.payer.address, core.registry, _REQUEST + "".join(map(word, request)))
    recipient.unpaid(_PENDING, last)
    for answered, tag, refused in ((score - 1, wanted, _TOO_LOW), (score, "another", _OTHER_TAG), (score, wanted, None)):
        text = word(len(tag)) + tag.encode().hex().ljust(64, "0")
        answer = [asked, answered, 5 * 32, 0, 6 * 32, 0]
        core.send_as(core.validator, core.registry, _RESPONSE + "".join(map(word, answer)) + text)
        if refused and (wanted or refused != _OTHER_TAG):
            recipient.unpaid(refused, last)


def _sold(version: int, debt: Debt) -> str:
    """What was sold on credit is paid from the collateral, once; by a certificate out of a receipt."""
    debt.wait_for(_GRACE)
    if version == 2:
        _answered(debt)
    by = credit.wallet("1.1.1", debt.pair.core) if debt.pair.recipient.release == "0.4.3" else debt.pair.recipient
    debt.redeems(1, PRICE * 2, by)
    debt.pair.has(total=_DEPOSIT - PRICE * 2, locked=0)
    debt.settled_as("REMUNERATED")
    by.unpaid(_PAID_BEFORE, debt.certificates[1])
    return f"{PRICE * 2} from the collateral, once"


def _expired(debt: Debt) -> str:
    """Certificates that nobody can redeem any more lock nothing."""
    debt.wait_for(_EXPIRATION)
    pair = debt.pair
    pair.has(total=_DEPOSIT, locked=0)
    if pair.recipient.release == "1.1.1":
        pair.recipient.unpaid(_EXPIRED, debt.certificates[1])
    pair.unissued(409, "tab already closed", pair.sign(pair.claims(debt.tab, 2, 1)))
    _noticed(pair, "user.request_withdrawal", _DEPOSIT, pair.token)
    return "all of the collateral is free again"


def _withdrawn(debt: Debt) -> str:
    """What is asked for is paid out after the grace period."""
    debt.wait_for(_WITHDRAWAL)
    pair = debt.pair
    before = pair.core.wealth(pair.payer.address, pair.token)
    receipt = pair.payer.call("user.finalize_withdrawal", pair.token)
    equal(receipt["status"], 1, "status of the withdrawal")
    gas = 0 if pair.token else _gas(receipt)
    equal(pair.core.wealth(pair.payer.address, pair.token), before + _DEPOSIT - _DEBT - gas, "what the payer has")
    seen = pair.on_chain()
    left = (seen["collateral"], seen["withdrawal_request_amount"], seen["withdrawal_request_timestamp"])
    equal(left, (_DEBT, 0, 0), "what is left in the contract")
    pair.has(total=_DEBT, locked=0)
    return f"asked for too much, cancelled, asked again, {_DEPOSIT - _DEBT} paid out"


class Story(NamedTuple):
    """What is done before time passes, and after. `of` is the token, or at the gate the protocol version."""

    about: str
    before: Callable[..., Debt]
    after: Callable[[Debt], str]
    release: str
    of: str | int | None


def _owing(release: str, where: str, token: str | None) -> Debt:
    return _owes(release, where, token, [100_000, 200_000])


_PAID, _UNLOCKED = "is paid from the collateral after the grace period", "sees an expired tab lock nothing"
_IN_FULL = "is paid in full though the payer redeemed the first certificate"
_CONDITION = "signs, verifies and redeems guarantees under a validator's condition"
_AT_GATE = "redeems what our gate gave in its receipts"
_OVER_X402 = "redeems what our facilitator certified for X402Flow"
_STORIES = {
    "remunerate-0.4.3": Story(_PAID, _before_remuneration, _remunerated, "0.4.3", USDC),
    "remunerate-1.1.1": Story(_PAID, _before_remuneration, _remunerated, "1.1.1", USDC),
    "remunerate-eth-1.1.1": Story(f"{_PAID}, in ETH", _before_remuneration, _remunerated, "1.1.1", None),
    "first-1.1.1": Story(_IN_FULL, _owing, _first, "1.1.1", USDC),
    "v2-1.1.1": Story(_CONDITION, _before_validation, _validated, "1.1.1", USDC),
    "x402-redeem-0.4.3": Story(_OVER_X402, _before_x402, _remunerated, "0.4.3", USDC),
    "x402-redeem-1.1.1": Story(_OVER_X402, _before_x402, _remunerated, "1.1.1", USDC),
    "x402-redeem-eth-1.1.1": Story(f"{_OVER_X402}, in ETH", _before_x402, _remunerated, "1.1.1", None),
    "x402-redeem-v2-1.1.1": Story(f"{_OVER_X402} in version 2", _before_x402_v2, _validated, "1.1.1", USDC),
    "gate-redeem-0.4.3": Story(_AT_GATE, _before_gate, partial(_sold, 1), "0.4.3", 1),
    "gate-redeem-1.1.1": Story(_AT_GATE, _before_gate, partial(_sold, 1), "1.1.1", 1),
    "gate-redeem-v2-1.1.1": Story(f"{_AT_GATE}, on a condition", _before_gate, partial(_sold, 2), "1.1.1", 2),
    "expired-0.4.3": Story(_UNLOCKED, _owing, _expired, "0.4.3", USDC),
    "expired-1.1.1": Story(_UNLOCKED, _owing, _expired, "1.1.1", USDC),
    "withdraw-0.4.3": Story("withdraws USDC", _before_withdrawal, _withdrawn, "0.4.3", USDC),
    "withdraw-1.1.1": Story("withdraws USDC", _before_withdrawal, _withdrawn, "1.1.1", USDC),
    "withdraw-eth-1.1.1": Story("withdraws ETH", _before_withdrawal, _withdrawn, "1.1.1", None),
}


@once
def _begun(where: str, name: str) -> Debt:
    story = _STORIES[name]
    return story.before(story.release, where, story.of)


@once
def _all_begun(where: str) -> None:
    for name in _STORIES:
        with contextlib.suppress(Fail, Skip, OSError):  # told by the row that it belongs to
            _begun(where, name)


def _row(name: str, where: str) -> str:
    credit.core(where, "aged")
    _all_begun(where)
    return _STORIES[name].after(_begun(where, name))


def _rows() -> None:
    for where in WHERE:
        for name, story in _STORIES.items():
            row(f"credit/{name}+{where}", f"sdk-4mica {story.release} {story.about} ({where})")(partial(_row, name, where))


_rows()
