#!/usr/bin/env bash
# The lock-free layer, and tests of the node that start and end much, under the address sanitizer and its search
# for leaks. The stable compiler has it, behind a switch. Where it cannot be used, a line says so.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
flags="-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer"
export RUSTC_BOOTSTRAP=1

probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
echo 'fn main() {}' >"$probe/main.rs"
# shellcheck disable=SC2086 # these are several arguments
if ! rustc $flags --target "$host" -o "$probe/main" "$probe/main.rs" 2>/dev/null || ! "$probe/main"; then
    echo "sanitizers: not run, as there is no address sanitizer for $host here"
    exit 0
fi

# A build of its own, so that it does not displace the ordinary one.
CARGO_TARGET_DIR="$(realpath -m "${CARGO_TARGET_DIR:-target}")/address"
export CARGO_TARGET_DIR
export RUSTFLAGS="${RUSTFLAGS-} $flags"

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
