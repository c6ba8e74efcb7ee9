#!/usr/bin/env bash
# The lock-free layer, and tests of the node that start and end much, under the sanitizers that the stable compiler
# has behind a switch. Where one cannot be used, a line says so.
#
#   .ci/sanitizers.sh address   memory errors, and leaks
#   .ci/sanitizers.sh thread    data races: the models and whole nodes on real threads, and the models' mutants. It
#                               needs a standard library that is built for it, from the component rust-src
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1-}
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTC_BOOTSTRAP=1

passed_over() {
    echo "sanitizers: $kind not run, as $1"
    exit 0
}

probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT

# Whether a program that is built for this sanitizer runs.
works() {
    echo 'fn main() {}' >"$probe/main.rs"
    rustc "-Zsanitizer=$kind" -Cunsafe-allow-abi-mismatch=sanitizer --target "$host" \
        -o "$probe/main" "$probe/main.rs" 2>/dev/null && "$probe/main"
}

# Nodes under load of threads outside, with starts, failures, urgent messages and stops; then once more with the write
# that publishes messages weakened, which has to be seen.
nodes_on_threads() {
    export RUSTFLAGS="$RUSTFLAGS --cfg ringpost_mutable"
    local sites=$probe/sites said=$probe/said publish
    cargo test --release -p ringpost --test stops_outside --test own_core
    RINGPOST_SITES="$sites" cargo test --release -p ringpost --test threads
    publish=$(grep -n 'word.store(word, Release)' mailbox/src/ring/slots.rs | head -n 1 | cut -d : -f 1)
    publish=$(sed -n "s|^\(mailbox/src/ring/slots.rs:$publish:[0-9]*\) first Release$|\1|p" "$sites" | head -n 1)
    RINGPOST_MUTANT="$publish=first:Relaxed" cargo test --release -p ringpost --test threads >"$said" 2>&1 || true
    if ! grep -q 'ThreadSanitizer: data race' "$said"; then
        echo "sanitizers: a race that was planted is not seen"
        exit 1
    fi
}

# A build of its own, so that it does not displace the ordinary one.
CARGO_TARGET_DIR="$(realpath -m "${CARGO_TARGET_DIR:-target}")/$kind"
export CARGO_TARGET_DIR

case "$kind" in
address)
    works || passed_over "there is no such sanitizer for $host here"
    export RUSTFLAGS="${RUSTFLAGS-} -Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer"
    # All of the layer but the tests that have the compiler refuse something.
    layer=(--lib)
    for test in mailbox/tests/*.rs; do
        name=$(basename "$test" .rs)
        [[ $name == *misuse ]] || layer+=(--test "$name")
    done
    node=()
    for name in workers panics stops cancellation stalls overflow; do
        node+=(--test "$name")
    done
    cargo test --target "$host" -p ringpost-mailbox "${layer[@]}"
    cargo test --target "$host" -p ringpost "${node[@]}"
    ;;
thread)
    works || passed_over "there is no such sanitizer for $host here"
    sources=$(rustc --print sysroot)/lib/rustlib/src/rust/library
    if [[ ! -d $sources ]]; then
        rustup component add rust-src || passed_over "the component rust-src cannot be had"
        # With it, errors quote the standard library, and some tests of what must not compile are passed over.
        trap 'rm -rf "$probe"; rustup component remove rust-src' EXIT
    fi
    export CARGO_UNSTABLE_BUILD_STD=std CARGO_BUILD_TARGET="$host"
    export RUSTFLAGS="${RUSTFLAGS-} -Zsanitizer=thread"
    # A sanitizer that sees no race any more fails here, by the mutants.
    loom-tests/run.sh threads
    nodes_on_threads
    ;;
*)
    sed -n '5,7p' "$0"
    exit 2
    ;;
esac
