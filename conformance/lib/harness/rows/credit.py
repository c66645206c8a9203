"""The credit core with the official Python SDKs, unmodified: starting, depositing, tabs, guarantees, payments."""

from __future__ import annotations

import itertools
import json
import secrets
import time
from functools import partial
from typing import Any

from .. import credit, wire
from ..credit import ETH, RELEASES, WHERE, Core, Pair, Raised
from ..outcome import equal, require, shown
from ..table import row
from ..world import CHAIN_ID, USDC

_DOMAIN = "0x991ce4cd"  # guaranteeDomainSeparator()
_ASSETS = {"erc20": USDC, "eth": None}
_FIRST, _SECOND = 1_000, 500
_DEPOSIT = 5_000_000


def _start(release: str, where: str) -> str:
    """The client starts: parameters, chain id and domains agree; what nobody asked for yet is null or empty."""
    core = credit.core(where)
    params = core.get("/core/public-params")
    require(len(params["public_key"]) == 48, "public_key has 48 bytes", params)
    equal(params["contract_address"].lower(), core.contract.lower(), "contract_address")
    equal((params["eip712_name"], params["eip712_version"], params["chain_id"]), ("4mica", "1", CHAIN_ID), "the domain of claims")
    equal((params["max_accepted_guarantee_version"], params["accepted_guarantee_versions"]), (2, [1, 2]), "versions")
    equal([one.lower() for one in params["trusted_validation_registries"]], [core.registry.lower()], "trusted registries")
    equal(params["validation_hash_canonicalization_version"], "4MICA_VALIDATION_REQUEST_V2", "canonicalization")
    require(isinstance(params["ethereum_http_rpc_url"], str), "ethereum_http_rpc_url is there", params)
    tokens = core.get("/core/tokens")
    equal(tokens["chain_id"], CHAIN_ID, "chain_id of the tokens")
    named = [(one["symbol"], one["address"].lower(), one["decimals"]) for one in tokens["tokens"]]
    equal(named, [("USDC", USDC.lower(), 6)], "supported tokens")
    equal(core.get("/core/health")["status"], "ok", "health")
    pair = credit.pair(release, core)
    opened = pair.payer.opened
    domain = core.chain.call("eth_call", {"to": core.contract, "data": _DOMAIN}, "latest")
    equal(opened["domains"]["1"], domain, "the domain of version 1")
    if release == "1.1.1":
        equal(sorted(opened["domains"]), ["1", "2"], "versions whose domains the client has")
        equal(opened["domain"], opened["domains"]["2"], "the active domain")
        equal(opened["params"]["active_guarantee_domain_separator"], opened["domain"], "the active domain, published")
        equal(pair.payer.call("rpc.get_supported_tokens"), tokens, "tokens by the SDK")
    assets = pair.payer.call("user.get_user")
    equal([one["asset"].lower() for one in assets], [ETH, USDC.lower()], "assets of the contract")
    equal({one["collateral"] for one in assets}, {0}, "collateral of a stranger")
    _nothing(pair)
    return "parameters, domains, tokens, and null for what is not there"


def _nothing(pair: Pair) -> None:
    """What the core says of a wallet it has never seen."""
    unknown = secrets.randbits(255)
    recipient = pair.recipient
    equal(recipient.call("recipient.get_tab", unknown), None, "an unknown tab")
    equal(pair.balance(), None, "the balance of a stranger")
    for path in ("list_settled_tabs", "list_pending_remunerations", "list_recipient_tabs", "list_recipient_payments"):
        equal(recipient.call(f"recipient.{path}"), [], path)
    for path in ("get_tab_guarantees", "get_latest_guarantee", "get_collateral_events_for_tab"):
        recipient.refused("RecipientQueryError", 404, "tab not found", f"recipient.{path}", unknown)
    equal(recipient.call("recipient.get_tab_payment_status", unknown), {"paid": 0, "remunerated": False, "asset": ETH}, "status")


def _cycle(release: str, where: str, kind: str) -> str:
    """deposit → tab → two guarantees, one in each scheme → paid in two parts → recorded → unlocked → SETTLED."""
    pair = credit.pair(release, credit.core(where), _ASSETS[kind])
    pair.unopened(400, "user not registered", pair.token)
    pair.deposit(_DEPOSIT)
    equal(pair.on_chain()["collateral"], _DEPOSIT, "collateral by the contract")
    tab = pair.tab()
    equal(pair.tab(60), tab, "the tab is used again")
    _fresh(pair, tab)
    certificates = [_certified(pair, tab, 0, _FIRST, "eip712"), _certified(pair, tab, 1, _SECOND, "eip191")]
    pair.has(total=_DEPOSIT, locked=_FIRST + _SECOND)
    _listed(pair, tab, certificates)
    paid = [_pays(pair, tab, 0, _FIRST, _FIRST, _SECOND), _pays(pair, tab, 1, _SECOND, _FIRST + _SECOND, 0)]
    _settled(pair, tab, paid)
    pair.unissued(409, "tab already closed", pair.sign(pair.claims(tab, 2, 1)))
    require(pair.tab() != tab, "the next tab is another one")
    return "locked 1500, paid 1000 and 500, SETTLED"


def _fresh(pair: Pair, tab: int) -> None:
    """A tab that nobody used yet."""
    said = pair.recipient.call("recipient.get_tab", tab)
    expected = {
        "tab_id": tab, "user_address": pair.payer.address, "recipient_address": pair.recipient.address,
        "asset_address": pair.token or ETH, "ttl_seconds": 3600, "status": "PENDING", "settlement_status": "PENDING",
    }
    equal({name: said[name] for name in expected}, expected, "the new tab")
    equal(pair.core.get(f"/core/tabs/{tab:#x}")["accepted_guarantee_version"], 1, "its version")
    equal(pair.recipient.call("recipient.get_latest_guarantee", tab), None, "its latest guarantee")
    equal(pair.recipient.call("recipient.get_tab_guarantees", tab), [], "its guarantees")
    equal(pair.recipient.call("recipient.get_collateral_events_for_tab", tab), [], "its collateral events")


def _certified(pair: Pair, tab: int, req: int, amount: int, scheme: str) -> dict[str, Any]:
    """A guarantee whose certificate the SDK finds good."""
    claims = pair.claims(tab, req, amount)
    signed = pair.sign(claims, scheme)
    issued = {"$certificate": pair.recipient.call("recipient.issue_payment_guarantee", *signed)}
    said = pair.recipient.call("recipient.verify_payment_guarantee", issued)
    fields = claims["$claims"]
    expected = {
        "user_address": pair.payer.address.lower(), "recipient_address": pair.recipient.address.lower(), "tab_id": tab,
        "req_id": req, "amount": amount, "total_amount": _FIRST + _SECOND if req else _FIRST, "version": 1,
        "asset_address": (pair.token or ETH).lower(), "timestamp": fields["timestamp"],
        "domain": pair.recipient.opened["domains"]["1"],
    }
    equal({name: said[name] for name in expected}, expected, f"the certificate of a claim signed with {scheme}")
    return issued["$certificate"]


def _listed(pair: Pair, tab: int, certificates: list[dict[str, Any]]) -> None:
    """Every question about an open tab."""
    recipient = pair.recipient
    equal(recipient.call("recipient.get_tab", tab)["status"], "OPEN", "status of the tab")
    all_of_it = recipient.call("recipient.get_tab_guarantees", tab)
    seen = [(one["req_id"], one["amount"], one["from_address"], one["to_address"]) for one in all_of_it]
    ends = (pair.payer.address, recipient.address)
    equal(seen, [(0, _FIRST, *ends), (1, _SECOND, *ends)], "guarantees of the tab")
    kept = [json.loads(one["certificate"]) for one in all_of_it]
    equal([{name: one[name].removeprefix("0x") for name in one} for one in kept],
          [{name: one[name].removeprefix("0x") for name in one} for one in certificates], "certificates that are kept")
    equal(recipient.call("recipient.get_latest_guarantee", tab), all_of_it[1], "the latest guarantee")
    equal(recipient.call("recipient.get_guarantee", tab, 0), all_of_it[0], "guarantee 0")
    equal(recipient.call("recipient.get_guarantee", tab, 9), None, "guarantee 9")
    for statuses, expected in ((["PENDING", "SETTLED"], [tab]), (["SETTLED", "REMUNERATED"], []), (None, [tab])):
        found = recipient.call("recipient.list_recipient_tabs", statuses)
        equal([one["tab_id"] for one in found], expected, f"tabs with status {statuses}")
    pending = recipient.call("recipient.list_pending_remunerations")
    equal([(one["tab"]["tab_id"], one["latest_guarantee"]["req_id"]) for one in pending], [(tab, 1)], "pending remunerations")
    equal(recipient.call("recipient.list_settled_tabs"), [], "settled tabs")


def _pays(pair: Pair, tab: int, req: int, amount: int, paid: int, locked: int) -> str:
    """One payment, which reaches the recipient, the contract and the books; its transaction."""
    before = pair.core.wealth(pair.recipient.address, pair.token)
    if pair.token:
        pair.payer.call("user.approve_erc20", pair.token, amount)
    receipt = pair.payer.call("user.pay_tab", tab, req, amount, pair.recipient.address, pair.token)
    equal(receipt["status"], 1, "status of the payment")
    equal(pair.core.wealth(pair.recipient.address, pair.token), before + amount, "what the recipient has")
    status: dict[str, Any] = {}

    def recorded() -> bool:
        nonlocal status
        status = pair.payer.call("user.get_tab_payment_status", tab)
        return bool(status["paid"] >= paid)

    credit.wait(recorded, lambda: f"{paid} recorded in the contract; seen: {shown(status)}")
    asset = pair.token or ETH
    equal((status["paid"], status["remunerated"], status["asset"]), (paid, False, asset), "payment status in the contract")
    pair.has(total=_DEPOSIT, locked=locked)
    return "0x" + receipt["transactionHash"].removeprefix("0x")


def _settled(pair: Pair, tab: int, transactions: list[str]) -> None:
    """What is said of a tab that is paid."""
    recipient = pair.recipient
    equal([one["tab_id"] for one in recipient.call("recipient.list_settled_tabs")], [tab], "settled tabs")
    equal(recipient.call("recipient.get_tab", tab)["settlement_status"], "SETTLED", "settlement of the tab")
    equal(recipient.call("recipient.list_pending_remunerations"), [], "pending remunerations")
    payments = recipient.call("recipient.list_recipient_payments")
    seen = [(one["tx_hash"].lower(), one["amount"], one["verified"], one["finalized"], one["failed"]) for one in payments]
    expected = [(transactions[1], _SECOND, True, True, False), (transactions[0], _FIRST, True, True, False)]
    equal(seen, expected, "payments, newest first")
    now_ms = time.time() * 1000
    require(all(now_ms - 600_000 < one["created_at"] < now_ms + 5_000 for one in payments), "payments are dated in ms", payments)
    events = recipient.call("recipient.get_collateral_events_for_tab", tab)
    unlocked = [(one["amount"], one["tx_id"].lower()) for one in events if one["event_type"] == "UNLOCK"]
    equal(unlocked, [(_FIRST, transactions[0]), (_SECOND, transactions[1])], "UNLOCK events, each with its payment's transaction")
    reserved = sorted((one["req_id"], one["amount"]) for one in events if one["event_type"] == "RESERVE")
    equal(reserved, [(0, _FIRST), (1, _SECOND)], "RESERVE events")


def _suspension(release: str, where: str) -> str:
    """An administrator suspends payer and recipient, and not any more."""
    pair = credit.pair(release, credit.core(where))
    pair.deposit(10_000)
    tab = pair.tab()
    signed = pair.sign(pair.claims(tab, 0, 100))
    admin = credit.wallet(release, pair.core, rich=False)
    admin.refused("RpcError", 401, "missing api key", "rpc.update_user_suspension", pair.payer.address, True)
    admin.call("rpc.with_admin_api_key", pair.core.admin_key)
    for user in (pair.payer.address, pair.recipient.address):
        said = admin.call("rpc.update_user_suspension", user, True)
        equal((said["user_address"].lower(), said["suspended"]), (user.lower(), True), "a suspension")
        require(abs(said["updated_at"] - time.time()) < 60, "updated_at is now", said)
        pair.unopened(403, "user suspended", pair.token)
        pair.unissued(403, "user suspended", signed)
        equal(admin.call("rpc.update_user_suspension", user, False)["suspended"], False, "not any more")
    pair.recipient.call("recipient.issue_payment_guarantee", *signed)
    return "payer and recipient: 403, and then not"


def _keys(release: str, where: str) -> str:
    """Administrators' keys: made, listed, limited by their scopes, revoked."""
    core = credit.core(where)
    admin, other = (credit.wallet(release, core, rich=False) for _ in range(2))
    admin.call("rpc.with_admin_api_key", core.admin_key)
    create, revoke, everything = "rpc.create_admin_api_key", "rpc.revoke_admin_api_key", "rpc.list_admin_api_keys"
    name = f"row {secrets.token_hex(4)}"
    made = admin.call(create, {"name": name, "scopes": ["user_suspension:write", "USER_SUSPENSION:WRITE"]})
    equal((made["name"], made["scopes"]), (name, ["user_suspension:write"]), "the new key")
    require(made["api_key"].startswith("ak_" + made["id"].replace("-", "") + "."), "the key's form", made)
    listed = next(one for one in admin.call(everything) if one["id"] == made["id"])
    equal({**listed, "api_key": made["api_key"]}, {**made, "revoked_at": None}, "the key, listed without its secret")
    other.call("rpc.with_admin_api_key", made["api_key"])
    stranger = credit.wallet(release, core, rich=False).address
    other.call("rpc.update_user_suspension", stranger, False)
    other.refused("RpcError", 401, "missing scope", everything)
    other.refused("RpcError", 401, "missing scope", create, {"name": "n", "scopes": ["user_suspension:write"]})
    revoked = admin.call(revoke, made["id"])
    require(isinstance(revoked["revoked_at"], int), "revoked_at is set", revoked)
    equal(admin.call(revoke, made["id"]), revoked, "revoked again")
    other.refused("RpcError", 401, "api key revoked", "rpc.update_user_suspension", stranger, True)
    other.call("rpc.with_admin_api_key", f"ak_{secrets.token_hex(16)}.{secrets.token_hex(32)}")
    other.refused("RpcError", 401, "invalid api key", everything)
    for status, text, values in (
        (400, "name is required", {"name": " ", "scopes": ["user_suspension:write"]}),
        (400, "at least one scope is required", {"name": "n", "scopes": []}),
        (400, "invalid scope: everything", {"name": "n", "scopes": ["everything"]}),
    ):
        admin.refused("RpcError", status, text, create, values)
    admin.refused("RpcError", 400, "invalid api key id", revoke, "nonsense")
    admin.refused("RpcError", 404, "api key not found", revoke, "00000000-0000-4000-8000-000000000000")
    return "create, list, scopes, revoke; each refusal"


def _unopened(pair: Pair, core: Core) -> None:
    """Tabs that are not opened."""
    too_long = core.seconds("0x182d3506") + 1  # tabExpirationTime()
    pair.unopened(400, f"tab ttl exceeds tab expiration time (ttl={too_long}, max={too_long - 1})", pair.token, too_long)
    pair.unopened(400, "tab ttl must be greater than zero", pair.token, 0)
    pair.unopened(400, "asset is not supported", core.contract)
    Pair(pair.payer, pair.payer, pair.token).unopened(400, "payer and recipient must be different", pair.token)
    text, values = "signer address does not match recipient address", (pair.payer.address, pair.payer.address, pair.token, None)
    pair.recipient.refused("CreateTabError", None, text, "recipient.create_tab", *values)
    if pair.payer.release == "1.1.1":
        pair.unopened(400, "guarantee version 3 is not accepted by core", pair.token, guarantee_version=3)


def _refusals(release: str, where: str) -> str:
    """Each refusal of the wire, with its status and its text as the SDK raises them."""
    core = credit.core(where)
    pair, others = credit.pair(release, core), credit.pair(release, core)
    pair.deposit(10_000)
    others.deposit(10_000)
    _unopened(pair, core)
    tab, now = pair.tab(), int(time.time())
    unknown = secrets.randbits(255)
    pair.unissued(404, f"{unknown:#x}", pair.sign(pair.claims(unknown, 0, 1)))
    pair.unissued(400, "timestamp is in the future", pair.sign(pair.claims(tab, 0, 1, timestamp=now + 3_600)))
    pair.unissued(400, "amount must be greater than zero", pair.sign(pair.claims(tab, 0, 0)))
    pair.unissued(400, "Not enough free collateral", pair.sign(pair.claims(tab, 0, 10_001)))
    signed = pair.sign(pair.claims(tab, 0, 1))
    pair.unissued(400, "Invalid signature", [pair.claims(tab, 0, 2), *signed[1:]])
    pair.unissued(400, "Invalid signature", [*signed[:2], {"$scheme": "eip191"}])
    mixed = Pair(others.payer, pair.recipient, pair.token)
    pair.unissued(400, "User address does not match tab", mixed.sign(mixed.claims(tab, 0, 1)))
    mixed = Pair(pair.payer, others.recipient, pair.token)
    mixed.unissued(400, "Recipient address does not match tab", mixed.sign(mixed.claims(tab, 0, 1)))
    pair.unissued(400, "Invalid asset address", pair.sign(pair.claims(tab, 0, 1, erc20_token=None)))
    stranger = Pair(credit.wallet(release, core, rich=False), pair.recipient, pair.token)
    pair.unissued(400, "user not registered", stranger.sign(stranger.claims(tab, 0, 1)))
    pair.issue(tab, 0, 10_000, timestamp=now - 10)
    pair.unissued(400, "another guarantee with req_id 0 already exists", pair.sign(pair.claims(tab, 0, 1)))
    pair.unissued(400, "Not enough free collateral", pair.sign(pair.claims(tab, 1, 1)))
    # Payments that were signed at once may arrive in another order, by a minute at most.
    pair.unissued(400, "start timestamp modified", pair.sign(pair.claims(tab, 1, 1, timestamp=now - 1_000_000)))
    short = Pair(others.payer, pair.recipient, pair.token)
    old = short.tab(60)
    pair.unissued(409, "tab already closed", short.sign(short.claims(old, 0, 1, timestamp=now - 3_600)))
    _unreadable(pair, tab)
    pair.has(total=10_000, locked=10_000)
    others.has(total=10_000, locked=0)
    return "each leaves the books as they were"


def _unreadable(pair: Pair, tab: int) -> None:
    """What is not even a question."""
    ask, payload = pair.recipient, {"claims": {"version": "v1"}, "signature": "0x", "scheme": "eip712"}
    for path, values in (
        ("rpc.get_user_asset_balance", ["nonsense", ETH]),
        ("rpc.list_settled_tabs", ["0x12"]),
        ("rpc.get_guarantee", [tab, "x"]),
        ("rpc.issue_guarantee", [payload]),
        ("rpc.create_payment_tab", [{}]),
    ):
        said = ask.ask(path, *values)
        require(isinstance(said, Raised) and (said.kind, said.status) == ("RpcError", 400), f"{path} of nonsense is 400", said)
    ask.refused("RecipientQueryError", 400, "invalid settlement status: PAID", "recipient.list_recipient_tabs", ["PAID"])
    answer = wire.request(f"{pair.core.url}/core/guarantees", "POST", {"content-type": "application/json"}, b"{")
    require(answer.status == 400 and isinstance(answer.json()["error"], str), "broken JSON is 400 with an error", answer)


_FLOWS = {
    "start": (_start, "starts against the core: parameters, domains, tokens, empty answers"),
    "erc20": (partial(_cycle, kind="erc20"), "deposits USDC, opens a tab, signs, verifies, pays in parts and is settled"),
    "eth": (partial(_cycle, kind="eth"), "deposits ETH, opens a tab, signs, verifies, pays in parts and is settled"),
    "suspension": (_suspension, "hears of a suspension"),
    "keys": (_keys, "makes and revokes administrators' keys"),
    "refusals": (_refusals, "is refused with the wire's statuses and texts"),
}
# These ask the core alone.
_OFF_CHAIN = ("suspension", "keys", "refusals")


def _rows() -> None:
    for where, release in itertools.product(WHERE, RELEASES):
        for flow, (check, about) in _FLOWS.items():
            if where == "dev" or flow not in _OFF_CHAIN:
                add = row(f"credit/{flow}-{release}+{where}", f"sdk-4mica {release} {about} ({where})")
                add(partial(check, release, where))


_rows()
