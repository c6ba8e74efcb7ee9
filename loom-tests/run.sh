#!/usr/bin/env bash
# Runs the models of the mailbox layer, and the mutants that ask whether they would notice.
#
#   loom-tests/run.sh check        lints of the mailbox layer and its models, as each checker builds them
#   loom-tests/run.sh models       every model under loom, with its number of executions
#   loom-tests/run.sh mutants      every weakened ordering; fails unless a model fails for each
#   loom-tests/run.sh schedules    every model, and whole nodes, under shuttle, from a seed that is printed; then the
#                                  mutants that it can see
#   loom-tests/run.sh long N       N schedules of each, and a line in the ledger
#   loom-tests/run.sh threads      the models, whole nodes, and the mutants on real threads; .ci/sanitizers.sh sets what
#                                  that needs
#
# RINGPOST_SEED, RINGPOST_SCHEDULES and RINGPOST_SCHEDULE are explained in src/arm/shuttle.rs.
set -euo pipefail
cd "$(dirname "$0")/.."

ledger=docs/schedules.txt
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}")
flags=${RUSTFLAGS-}

# A checker is a build of its own, so that it does not displace the ordinary one.
build_for() {
    export CARGO_TARGET_DIR="$folder/$1"
    export RUSTFLAGS="$flags --cfg $1"
}

run_models() {
    cargo test --release -p ringpost-loom-tests --tests "$@" -- --nocapture
}

run_mutants() {
    local list
    list=$(cargo test --release -p ringpost-loom-tests --tests --no-run 2>&1) || {
        printf '%s\n' "$list" >&2
        exit 1
    }
    # Cargo names each test program in brackets: `Executable tests/wake.rs (path)`.
    mapfile -t models < <(sed -n 's/^ *Executable tests\/.* (\(.*\))$/\1/p' <<<"$list")
    cargo run --release -q -p ringpost-loom-tests --bin mutants -- "${models[@]}"
}

case "${1-}" in
check)
    # An ordinary run of the lints sees no model, and not the facade that they use.
    (
        build_for loom
        cargo clippy -p ringpost-mailbox -p ringpost-loom-tests --all-targets -- -D warnings
    )
    # Models share memory as loom lets them, whose `Arc` is not the one of this lint.
    for checker in shuttle ringpost_mutable; do
        (
            build_for "$checker"
            cargo clippy -p ringpost-loom-tests --all-targets -- -D warnings -A clippy::arc_with_non_send_sync
        )
    done
    ;;
models)
    build_for loom
    run_models
    ;;
mutants)
    build_for loom
    run_mutants
    ;;
schedules)
    build_for shuttle
    # One seed for all of them.
    export RINGPOST_SEED="${RINGPOST_SEED:-$(date +%s)}"
    echo "RINGPOST_SEED=$RINGPOST_SEED"
    RINGPOST_SCHEDULES="${RINGPOST_SCHEDULES:-25000}" run_models
    RINGPOST_SCHEDULES=4000 run_mutants
    ;;
long)
    build_for shuttle
    export RINGPOST_SEED="${RINGPOST_SEED:-$(date +%s%N)}" RINGPOST_SCHEDULES="$2"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    run_models 2>&1 | tee "$log"
    total=$(sed -n 's/^.*model .*: \([0-9]*\) executions, .*/\1/p' "$log" | awk '{ sum += $1 } END { print sum }')
    echo "$(git rev-parse --short=12 HEAD) seed $RINGPOST_SEED schedules $total" >>"$ledger"
    ;;
threads)
    export RUSTFLAGS="$flags --cfg ringpost_mutable"
    run_models
    RINGPOST_RUNS=1000 run_mutants
    ;;
*)
    sed -n '4,13p' "$0"
    exit 2
    ;;
esac
