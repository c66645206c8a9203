"""Who may ask the credit core: signing in, tokens, other people's tabs; and the tests that the SDK brings along."""

from __future__ import annotations

import os
import re
import socket
from functools import partial

from .. import credit, install, wire
from ..credit import RELEASES, WHERE, Core, Pair, Raised
from ..outcome import Skip, equal, require, shown
from ..paths import PEERS
from ..procs import run
from ..table import row
from ..world import USDC

# Where the SDK's own integration tests look for a core.
_THEIR_PORT = 3000
_TESTS_SECONDS = 300.0


def _closed() -> Core:
    return credit.core("dev", "closed", "--credit-auth", "required")


def _signed_in(core: Core, **more: object) -> Pair:
    return credit.pair("1.1.1", core, enable_auth=None, **more)


def _unknown(release: str) -> str:
    """Without a token nothing is told but what everybody may know."""
    core, missing = _closed(), "missing authorization"
    equal([core.get(f"/core/{path}") is None for path in ("public-params", "tokens", "health")], [False] * 3, "what everybody may know")
    pair = credit.pair(release, core)
    pair.unopened(401, missing, USDC)
    pair.unissued(401, missing, pair.sign(pair.claims(1, 0, 1)))
    for path, values in (
        ("get_tab", [1]), ("get_tab_guarantees", [1]), ("get_latest_guarantee", [1]), ("get_guarantee", [1, 0]),
        ("get_collateral_events_for_tab", [1]), ("get_user_asset_balance", [pair.payer.address, USDC]), ("list_settled_tabs", []),
        ("list_recipient_tabs", []), ("list_pending_remunerations", []), ("list_recipient_payments", []),
    ):
        pair.recipient.refused("RecipientQueryError", 401, missing, f"recipient.{path}", *values)
    if release == "1.1.1":  # the same wallet, signed in
        member = credit.wallet(release, core, pair.recipient.key, enable_auth=None)
        equal(member.call("recipient.list_settled_tabs"), [], "asked with a session")
    return "401 for whatever is asked" + ("" if release == "1.1.1" else "; it has no way to show a token")


def _login() -> str:
    """Signing in, the whole of a tab, and what others may not see of it."""
    core = _closed()
    pair = _signed_in(core)
    tokens = pair.recipient.call("login")
    require(tokens["access_token"].count(".") == 2, "an access token of three parts")
    require(tokens["expires_in"] > 60, "it lasts", tokens["expires_in"])
    pair.deposit(10_000)
    tab = pair.tab()
    pair.issue(tab, 0, 400)
    pair.has(total=10_000, locked=400)
    for party in (pair.payer, pair.recipient):
        equal(party.call("recipient.get_tab", tab)["tab_id"], tab, "the tab, as its parties see it")
    others = _signed_in(core)
    others.recipient.refused("RecipientQueryError", 403, "not a party of this tab", "recipient.get_tab", tab)
    others.recipient.refused("RecipientQueryError", 403, "not a party of this tab", "recipient.get_tab_guarantees", tab)
    address = pair.recipient.address
    said = others.recipient.ask("rpc.list_recipient_tabs", address)
    equal((said.kind, said.status), ("RpcError", 403), "another recipient's tabs")
    said = others.recipient.ask("rpc.get_user_asset_balance", pair.payer.address, USDC)
    equal((said.kind, said.status), ("RpcError", 403), "the balance of somebody else's payer")
    body = {"user_address": pair.payer.address, "recipient_address": address, "erc20_token": USDC, "ttl": None}
    said = others.recipient.ask("rpc.create_payment_tab", body)
    equal((said.kind, said.status), ("RpcError", 403), "a tab for another recipient")
    admin = _signed_in(core).recipient
    admin.call("rpc.with_admin_api_key", core.admin_key)
    equal(admin.call("rpc.update_user_suspension", pair.payer.address, False)["suspended"], False, "with a key and a token")
    keyed = credit.wallet("0.4.3", core, rich=False)
    keyed.call("rpc.with_admin_api_key", core.admin_key)
    equal(keyed.call("rpc.update_user_suspension", pair.payer.address, False)["suspended"], False, "with a key and no token")
    return "the parties see their tab, others 403; a key needs no token"


def _refreshed(core: Core, token: str) -> str | None:
    """The refresh token after this one, or None where that is refused."""
    said = wire.post_json(f"{core.url}/auth/refresh", {"refresh_token": token})
    require(said.status in (200, 401), "refreshing is 200 or 401", said.status)
    return said.json()["refresh_token"] if said.status == 200 else None


def _refresh() -> str:
    """Refresh tokens are good once; the second use of one ends the family. A client with a large margin refreshes each time."""
    core = _closed()
    hasty = _signed_in(core, auth_refresh_margin_secs=10**6).recipient
    first = hasty.call("login")
    for _ in range(3):
        equal(hasty.call("recipient.list_settled_tabs"), [], "asked with a token of this moment")
    current = _refreshed(core, _signed_in(core).recipient.call("login")["refresh_token"])
    equal(_refreshed(core, first["refresh_token"]), None, "what a used refresh token brings")
    # The family is gone, the client hears 401 and signs in anew, by itself.
    equal(hasty.call("recipient.list_settled_tabs"), [], "asked with a session of this moment")
    newest = _refreshed(core, current or "")
    require(newest, "another wallet's family lives on")
    equal(_refreshed(core, current or ""), None, "what its used token brings")
    equal(_refreshed(core, newest or ""), None, "what its newest token brings after that")
    tokens = _signed_in(core).recipient.call("login")
    last = {"refresh_token": tokens["refresh_token"]}
    for expected in (True, False):
        said = wire.post_json(f"{core.url}/auth/logout", last)
        equal((said.status, said.json()["revoked"]), (200, expected), "signing out")
    equal(wire.post_json(f"{core.url}/auth/refresh", last).status, 401, "the token after signing out")
    return "rotated three times, reuse refused, signed out"


def _bearer() -> str:
    """A token that is configured, with the word Bearer or without."""
    core = _closed()
    member = _signed_in(core).recipient
    token = member.call("login")["access_token"]
    for text in (token, f"Bearer {token}"):
        other = credit.wallet("1.1.1", core, member.key, bearer_token=text)
        equal(other.call("recipient.list_settled_tabs"), [], "asked with a configured token")
    head, body, _ = token.split(".")
    for text in ("nonsense", f"{head}.{body}.{'A' * 43}"):
        other = credit.wallet("1.1.1", core, member.key, bearer_token=text)
        other.refused("RecipientQueryError", 401, "invalid access token", "recipient.list_settled_tabs")
    return "with and without the word Bearer; forged ones 401"


def _optional() -> str:
    """Where auth is optional a token still says who asks."""
    pair = _signed_in(credit.core("dev"))
    pair.deposit(10_000)
    tab = pair.tab()
    pair.issue(tab, 0, 100)
    wrong = credit.wallet("1.1.1", pair.core, pair.recipient.key, bearer_token="nonsense")
    wrong.refused("RecipientQueryError", 401, "invalid access token", "recipient.get_tab", tab)
    said = _signed_in(pair.core).recipient.ask("recipient.get_tab", tab)
    equal(isinstance(said, Raised) and said.status, 403, "a stranger's question, signed in")
    equal(credit.wallet("0.4.3", pair.core, rich=False).call("recipient.get_tab", tab)["tab_id"], tab, "and not signed in")
    return "signed in and not"


def _their_tests(core: Core, file: str, env: dict[str, str]) -> str:
    """The SDK's tests, from its source distribution, with its own release installed."""
    folder = PEERS / "python-credit"
    tools = install.over_python("credit-tests", folder / "tests.txt")
    sources = install.sources("credit-sources", folder / "sdist.txt", tools) / "sdk_4mica-1.1.1"
    # Its own release first, then the package that its facilitator mode asks with.
    theirs = (install.over_python(name, folder / lock) for name, lock in (("sdk-4mica-1.1.1", "1.1.1.txt"), ("x402-4mica", "x402.txt")))
    paths = os.pathsep.join(map(str, (*theirs, tools)))
    command = [str(install.python()), "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-o", "addopts=", f"tests/{file}"]
    env = {"PYTHONPATH": paths, "ETH_HTTP_RPC_URL": core.chain.url, "4MICA_E2E": "1", **env}
    done = run(command, env, sources, _TESTS_SECONDS)
    equal(done.returncode, 0, f"exit of {file}: {shown(done.stdout[-1500:], 1500)}")
    counts = re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout.splitlines()[-1])
    equal(dict((word, int(count)) for count, word in counts), {"passed": 2}, f"what {file} says")
    return done.stdout.splitlines()[-1].strip("= ")


def _end_to_end(where: str, mode: str) -> str:
    core = credit.core(where, f"theirs-{mode}")  # each lets time pass
    payer, recipient = (credit.wallet("1.1.1", core) for _ in range(2))
    env = {"PAYER_PRIVATE_KEY": payer.key, "RECIPIENT_PRIVATE_KEY": recipient.key, "4MICA_RPC_URL": core.url}
    env |= {"4MICA_E2E_MODE": mode, "FACILITATOR_URL": core.facilitator, "VALIDATOR_ADDRESS": core.validator}
    return _their_tests(core, "test_credit_flow_e2e.py", env)


def _integration() -> str:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", _THEIR_PORT)) == 0:
            raise Skip(f"port {_THEIR_PORT} is taken")
    core = credit.core("dev", "port-3000", "--credit-port", str(_THEIR_PORT))
    return _their_tests(core, "test_auth_integration.py", {})


def _rows() -> None:
    for release in RELEASES:
        about = f"sdk-4mica {release} hears 401 where signing in is required (dev)"
        row(f"credit/unknown-{release}+dev", about)(partial(_unknown, release))
    for name, check, about in (
        ("login-1.1.1", _login, "sdk-4mica 1.1.1 signs in, uses a tab, and sees nobody else's"),
        ("refresh-1.1.1", _refresh, "sdk-4mica 1.1.1 refreshes; a used token ends its family"),
        ("bearer-1.1.1", _bearer, "sdk-4mica 1.1.1 shows a configured token"),
        ("optional-1.1.1", _optional, "sdk-4mica 1.1.1 signs in where it need not"),
        ("sdist-auth-1.1.1", _integration, "sdk-4mica 1.1.1: its own test_auth_integration.py, against port 3000"),
    ):
        row(f"credit/{name}+dev", f"{about} (dev)")(check)
    for where in WHERE:
        about = f"sdk-4mica 1.1.1: its own test_credit_flow_e2e.py, from its source distribution ({where})"
        row(f"credit/sdist-e2e-1.1.1+{where}", about)(partial(_end_to_end, where, "direct"))
    about = "sdk-4mica 1.1.1: the same test over 4mica-x402 and our facilitator (dev)"
    row("credit/sdist-e2e-x402-1.1.1+dev", about)(partial(_end_to_end, "dev", "facilitator"))


_rows()
