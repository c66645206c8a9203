"""What web3.py sees of a chain: one JSON object of facts that must be the same on every chain.

Input: RPC_URL, KEY (an account with Ether that has sent nothing yet), TOKEN_ARTIFACT (path of TestUsdc.json).
"""

import json
import os
import time

from eth_account import Account
from web3 import Web3
from web3.exceptions import ContractCustomError, ContractLogicError

RECEIVER = "0x00000000000000000000000000000000000000A1"
BLOCK_FIELDS = """baseFeePerGas difficulty extraData gasLimit gasUsed hash logsBloom miner mixHash nonce number parentHash
receiptsRoot sha3Uncles size stateRoot timestamp transactions transactionsRoot uncles withdrawals withdrawalsRoot blobGasUsed
excessBlobGas parentBeaconBlockRoot""".split()

w3 = Web3(Web3.HTTPProvider(os.environ["RPC_URL"]))
account = Account.from_key(os.environ["KEY"])
w3.eth.default_account = account.address
with open(os.environ["TOKEN_ARTIFACT"], encoding="utf-8") as file:
    artifact = json.load(file)
facts: dict = {}


def send(transaction: dict):
    """Signs, sends, waits."""
    transaction = {"from": account.address, "nonce": w3.eth.get_transaction_count(account.address), **transaction}
    transaction.setdefault("chainId", w3.eth.chain_id)
    signed = account.sign_transaction({name: value for name, value in transaction.items() if name != "from"})
    return w3.eth.wait_for_transaction_receipt(w3.eth.send_raw_transaction(signed.raw_transaction), timeout=20)


def fees() -> dict:
    tip = w3.eth.max_priority_fee
    return {"maxPriorityFeePerGas": tip, "maxFeePerGas": 2 * w3.eth.get_block("latest")["baseFeePerGas"] + tip}


def raised(action) -> str:
    """The class of what `action` raises, or 'nothing'."""
    try:
        action()
    except Exception as error:  # the class is the fact
        return type(error).__name__
    return "nothing"


def network() -> None:
    facts["chain_id"] = w3.eth.chain_id
    facts["net_version"] = w3.net.version
    facts["client_version"] = isinstance(w3.client_version, str)
    facts["syncing"] = w3.eth.syncing
    facts["gas_price_positive"] = w3.eth.gas_price > 0
    facts["tip_not_negative"] = w3.eth.max_priority_fee >= 0
    facts["start_nonce"] = w3.eth.get_transaction_count(account.address)


def transfers() -> None:
    """Plain Ether in the three transaction types."""
    price = w3.eth.gas_price
    kinds = {
        "legacy": {"gasPrice": price},
        "access_list": {"gasPrice": price, "accessList": [], "type": 1},
        "eip1559": fees(),
    }
    for name, fields in kinds.items():
        receipt = send({"to": RECEIVER, "value": 7, "gas": 21000, **fields})
        seen = w3.eth.get_transaction(receipt["transactionHash"])
        facts[f"transfer_{name}"] = {
            "status": receipt["status"],
            "type": [receipt["type"], seen["type"]],
            "gas_used": receipt["gasUsed"],
            "parties": [receipt["from"], receipt["to"], seen["from"], seen["to"]],
            "value": seen["value"],
            "nonce": seen["nonce"],
            "logs": len(receipt["logs"]),
            "paid_something": receipt["effectiveGasPrice"] > 0,
            "same_block": seen["blockHash"] == receipt["blockHash"],
            "signature": all(name in seen for name in ("r", "s", "v")),
        }
    facts["receiver_balance"] = w3.eth.get_balance(RECEIVER)
    facts["nonce_after"] = [w3.eth.get_transaction_count(account.address, tag) for tag in ("latest", "pending")]
    facts["estimate_transfer"] = w3.eth.estimate_gas({"to": RECEIVER, "value": 1})


def deploy():
    """The token, by its constructor."""
    factory = w3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
    call = factory.constructor("Fare", "7", "FARE", 6)
    receipt = send(call.build_transaction({"gas": 4_000_000, **fees(), "nonce": facts["nonce_after"][0]}))
    facts["deploy"] = [receipt["status"], receipt["gasUsed"], receipt["contractAddress"], receipt["to"]]
    facts["deploy_estimate_is_enough"] = call.estimate_gas() >= receipt["gasUsed"]
    token = w3.eth.contract(receipt["contractAddress"], abi=artifact["abi"])
    facts["code_bytes"] = len(w3.eth.get_code(token.address))
    facts["token"] = [token.functions.name().call(), token.functions.version().call(), token.functions.decimals().call()]
    facts["domain_separator"] = token.functions.DOMAIN_SEPARATOR().call().hex()
    return token


def token_moves(token) -> None:
    """Mint, transfer, logs, the state before and after."""
    minted = send(token.functions.mint(account.address, 5000).build_transaction({"gas": 200_000, **fees()}))
    estimate = token.functions.transfer(RECEIVER, 1000).estimate_gas()
    moved = send(token.functions.transfer(RECEIVER, 1000).build_transaction({"gas": 200_000, **fees()}))
    facts["token_gas"] = [minted["gasUsed"], moved["gasUsed"]]
    facts["token_estimate_is_close"] = moved["gasUsed"] <= estimate <= moved["gasUsed"] * 3 // 2
    facts["token_balances"] = [token.functions.balanceOf(who).call() for who in (account.address, RECEIVER)]
    events = token.events.Transfer().process_receipt(moved)
    facts["event"] = [[event["args"]["from"], event["args"]["to"], event["args"]["value"]] for event in events]
    log = moved["logs"][0]
    facts["log"] = [log["address"], log["logIndex"], log["transactionIndex"], log["removed"], log["data"].hex()]
    facts["bloom_filled"] = int.from_bytes(moved["logsBloom"], "big") > 0
    between = {"from_block": minted["blockNumber"], "to_block": "latest"}
    transfer = token.events.Transfer
    topic = log["topics"][0]
    facts["logs"] = {
        "all": len(transfer().get_logs(**between)),
        "by_receiver": len(transfer().get_logs(argument_filters={"to": RECEIVER}, **between)),
        "by_block_hash": len(transfer().get_logs(block_hash=moved["blockHash"])),
        "by_address_list": len(w3.eth.get_logs({"address": [token.address, RECEIVER], "fromBlock": minted["blockNumber"]})),
        "by_either_topic": len(w3.eth.get_logs({"topics": [[topic, b"\0" * 32]], "fromBlock": minted["blockNumber"]})),
        "by_other_topic": len(w3.eth.get_logs({"topics": [b"\1" * 32], "fromBlock": minted["blockNumber"]})),
        "by_second_topic": len(w3.eth.get_logs({"topics": [None, log["topics"][1]], "fromBlock": minted["blockNumber"]})),
    }
    slot = w3.keccak(bytes(12) + bytes.fromhex(account.address[2:]) + bytes(32))
    facts["storage"] = int.from_bytes(w3.eth.get_storage_at(token.address, int.from_bytes(slot, "big")), "big")
    past = token.functions.balanceOf(account.address).call(block_identifier=minted["blockNumber"])
    facts["balance_in_the_past"] = past


def refusals(token) -> None:
    """What cannot be done, said so that the library understands it."""
    for name, call in {"transfer": token.functions.transfer(RECEIVER, 10**9), "no_allowance": token.functions.transferFrom(
        RECEIVER, account.address, 1)}.items():
        for verb in ("call", "estimate_gas"):
            try:
                getattr(call, verb)()
                facts[f"refused_{name}_{verb}"] = "nothing"
            except (ContractCustomError, ContractLogicError) as error:
                facts[f"refused_{name}_{verb}"] = [type(error).__name__, str(error.message), str(error.data)]
    reverted = send(token.functions.transfer(RECEIVER, 10**9).build_transaction({"gas": 100_000, **fees()}))
    facts["reverted"] = [reverted["status"], reverted["gasUsed"], len(reverted["logs"])]
    raw = {"to": RECEIVER, "value": 1, "gas": 21000, "chainId": w3.eth.chain_id, **fees()}
    nonce = w3.eth.get_transaction_count(account.address)
    sign = lambda fields: account.sign_transaction({**raw, **fields}).raw_transaction  # noqa: E731
    bad = {
        "old_nonce": sign({"nonce": 0}),
        "too_expensive": sign({"nonce": nonce, "value": 10**30}),
        "too_little_gas": sign({"nonce": nonce, "gas": 20999}),
        "wrong_chain": sign({"nonce": nonce, "chainId": 1}),
    }
    for name, transaction in bad.items():
        facts[f"refused_{name}"] = raised(lambda bytes_=transaction: w3.eth.send_raw_transaction(bytes_))
    facts["missing"] = [
        raised(lambda: w3.eth.get_block(10**9)),
        raised(lambda: w3.eth.get_transaction("0x" + "11" * 32)),
        raised(lambda: w3.eth.get_transaction_receipt("0x" + "11" * 32)),
    ]


def authorization(token) -> None:
    """EIP-3009 as a payment does it, and its second use."""
    terms = {
        "from": account.address, "to": RECEIVER, "value": 250, "validAfter": 0, "validBefore": 2**48, "nonce": b"\x42" * 32,
    }
    types = [("from", "address"), ("to", "address"), ("value", "uint256"), ("validAfter", "uint256"),
             ("validBefore", "uint256"), ("nonce", "bytes32")]
    signed = account.sign_typed_data(
        {"name": "Fare", "version": "7", "chainId": w3.eth.chain_id, "verifyingContract": token.address},
        {"TransferWithAuthorization": [{"name": name, "type": kind} for name, kind in types]},
        terms,
    )
    function = token.get_function_by_signature(
        "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)")
    call = function(*terms.values(), bytes(signed.signature))
    receipt = send(call.build_transaction({"gas": 200_000, **fees()}))
    facts["authorization"] = [receipt["status"], receipt["gasUsed"], len(receipt["logs"])]
    facts["authorization_used"] = token.functions.authorizationState(account.address, terms["nonce"]).call()
    facts["authorization_again"] = raised(call.call)


def blocks() -> None:
    """Tags, hashes, links, fee history, a new block seen by a filter, a batch."""
    latest = w3.eth.get_block("latest")
    number = latest["number"]
    safe, final = (w3.eth.get_block(tag)["number"] for tag in ("safe", "finalized"))
    facts["blocks"] = {
        "fields_missing": [name for name in BLOCK_FIELDS if name not in latest],
        "number": number == w3.eth.block_number,
        "earliest": w3.eth.get_block("earliest")["number"],
        "pending_is_next": w3.eth.get_block("pending")["number"] - number,
        "order": final <= safe <= number,
        "by_hash": w3.eth.get_block(latest["hash"])["number"] == number,
        "linked": w3.eth.get_block(number - 1)["hash"] == latest["parentHash"],
        "full": len(w3.eth.get_block(number, full_transactions=True)["transactions"][0]["hash"]),
        "count": w3.eth.get_block_transaction_count(number),
        "by_index": w3.eth.get_transaction_by_block(number, 0)["hash"] == latest["transactions"][0],
        "receipts": len(w3.eth.get_block_receipts(number)),
        "time_moves": abs(latest["timestamp"] - time.time()) < 3600,
    }
    history = w3.eth.fee_history(4, "latest", [10, 50])
    facts["fee_history"] = {
        "base_fees": len(history["baseFeePerGas"]),
        "ratios": len(history["gasUsedRatio"]),
        "rewards": [len(row) for row in history["reward"]],
        "oldest": number - history["oldestBlock"],
    }
    watch = w3.eth.filter("latest")
    send({"to": RECEIVER, "value": 1, "gas": 21000, **fees()})
    facts["filter_saw"] = len(watch.get_new_entries())
    with w3.batch_requests() as batch:
        batch.add(w3.eth.get_balance(RECEIVER))
        batch.add(w3.eth.get_block("latest"))
        answers = batch.execute()
    facts["batch"] = [answers[0], answers[1]["number"] == w3.eth.block_number]


network()
transfers()
fare = deploy()
token_moves(fare)
refusals(fare)
authorization(fare)
blocks()
print(json.dumps(facts, default=str))
