#!/usr/bin/env bash
# Runs the loom models of the mailbox layer, and the mutants that ask whether they would notice.
#
#   loom-tests/run.sh check     lints of the mailbox layer and its models, as they are built for loom
#   loom-tests/run.sh models    every model, with its number of executions
#   loom-tests/run.sh mutants   every weakened ordering; fails unless a model fails for each
set -euo pipefail
cd "$(dirname "$0")/.."

# Loom is a build of its own, so that it does not displace the ordinary one.
CARGO_TARGET_DIR="$(realpath -m "${CARGO_TARGET_DIR:-target}")/loom"
export CARGO_TARGET_DIR
export RUSTFLAGS="${RUSTFLAGS-} --cfg loom"

case "${1-}" in
check)
    # An ordinary run of the lints sees no model, and not the facade that they use.
    cargo clippy -p ringpost-mailbox -p ringpost-loom-tests --all-targets -- -D warnings
    ;;
models)
    cargo test --release -p ringpost-loom-tests --tests -- --nocapture
    ;;
mutants)
    list=$(cargo test --release -p ringpost-loom-tests --tests --no-run 2>&1) || {
        printf '%s\n' "$list" >&2
        exit 1
    }
    # Cargo names each test program in brackets: `Executable tests/wake.rs (path)`.
    mapfile -t models < <(sed -n 's/^ *Executable tests\/.* (\(.*\))$/\1/p' <<<"$list")
    cargo run --release -q -p ringpost-loom-tests --bin mutants -- "${models[@]}"
    ;;
*)
    echo "usage: loom-tests/run.sh check|models|mutants" >&2
    exit 2
    ;;
esac
