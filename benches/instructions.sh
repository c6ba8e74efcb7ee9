#!/usr/bin/env bash
# Instructions, and atomic read-modify-writes, of a message: counted under callgrind on a simulated node and
# held to the limits in instructions.txt, with a headroom of 10 %. Needs valgrind and binutils.
#
#   benches/instructions.sh            compares
#   benches/instructions.sh --update   writes the limits anew
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in valgrind objdump; do
    if ! command -v "$tool" >/dev/null; then
        echo "instructions: $tool is not there; install valgrind and binutils" >&2
        exit 1
    fi
done

what=check
if [[ ${1-} == --update ]]; then
    what=update
fi

cargo build --quiet --profile bench -p ringpost-benches --bin instructions
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
"$target/release/instructions" "$what" benches/instructions.txt
