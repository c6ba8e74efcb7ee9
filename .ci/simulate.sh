#!/usr/bin/env bash
# Clusters in simulation, from seeds.
#
#   .ci/simulate.sh campaign   as many seeds as CI has time for; every fault and every rare path is met; seeds that fail
#                              are added to runtime/examples/simulate/failed.txt, which the tests run for good
#   .ci/simulate.sh canaries   each planted bug is found within 2,000 seeds
#   .ci/simulate.sh builds     the same seeds have the same hashes with debug assertions and without
#   .ci/simulate.sh long N     N more seeds than any campaign before, for the ledger
set -euo pipefail
cd "$(dirname "$0")/.."

seeds=220000
ledger=docs/simulated.txt

simulate() {
    cargo run --quiet --release -p ringpost --example simulate -- "$@"
}

case ${1-} in
campaign)
    simulate --seeds "$seeds" --reach --note-failures
    ;;
canaries)
    RUSTFLAGS="--cfg ringpost_canary" CARGO_TARGET_DIR=target/canary simulate --canaries 2000
    ;;
builds)
    release=$(simulate --seed 0 --hashes 200)
    debug=$(cargo run --quiet -p ringpost --example simulate -- --seed 0 --hashes 200)
    if [[ $release != "$debug" ]]; then
        echo "FAILED: builds differ in the hashes of their runs:"
        diff <(echo "$release") <(echo "$debug") | head
        exit 1
    fi
    echo "200 seeds have the same hashes in both builds"
    ;;
long)
    # Where the last campaign of the ledger ended, or after those of CI.
    last=$(sed -n 's/.* seeds [0-9]*\.\.\([0-9]*\) .*/\1/p' "$ledger" | sort -n | tail -n 1)
    simulate --seed "${last:-$seeds}" --seeds "$2" --ledger "$ledger" --note-failures
    ;;
*)
    sed -n '2,8p' "$0"
    exit 2
    ;;
esac
