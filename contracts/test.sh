#!/bin/sh
# Everything there is to check about the contracts, from a clean clone. Needs node 20 or newer; leaves no server running.
# forge and anvil 1.7.1 come from npm on Linux x86-64; elsewhere install Foundry and name them in FORGE and ANVIL.
#
#   ./test.sh          1,000 fuzz runs per test
#   ./test.sh --long   10,000

set -eu
cd "$(dirname "$0")"

case "${1:-}" in
  '') ;;
  --long) FOUNDRY_PROFILE=ci; export FOUNDRY_PROFILE ;;
  *) echo "unknown argument: $1 (the only one is --long)" >&2; exit 2 ;;
esac

# An install that fits the lock file is kept, so that this also runs without a network.
if ! cmp -s package-lock.json node_modules/.faregate-lock; then
  npm ci --prefer-offline --ignore-scripts --no-audit --no-fund
  cp package-lock.json node_modules/.faregate-lock
fi
if grep -q '"resolved"' package-lock.json; then
  echo 'package-lock.json names a download host: remove the "resolved" lines' >&2
  exit 1
fi

FORGE=${FORGE:-node_modules/.bin/forge}

node build.mjs --check
"$FORGE" fmt --check
FORGE_SNAPSHOT_CHECK=true "$FORGE" test --isolate
node --test test/anvil.test.mjs
