"""Where things are."""

from pathlib import Path

CONFORMANCE = Path(__file__).resolve().parents[2]
REPOSITORY = CONFORMANCE.parent
PEERS = CONFORMANCE / "peers"
WORK = CONFORMANCE / ".work"
LOGS = WORK / "logs"
TOKEN_ARTIFACT = REPOSITORY / "contracts" / "artifacts" / "TestUsdc.json"
PERMIT2_ARTIFACT = REPOSITORY / "contracts" / "artifacts" / "Permit2.json"
