#!/usr/bin/env bash
# Runs the load generator in release as its users do, and checks what it says and how it exits.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds_max=60

output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT

cargo build --quiet --release -p ringpost-load

failed=0

# check NAME STATUS TEXT ARGUMENT…: runs the program and wants this exit status, and this text in what it prints.
check() {
    local name=$1 wanted=$2 text=$3 status=0
    shift 3
    timeout "$seconds_max" cargo run --quiet --release -p ringpost-load -- "$@" \
        >"$output/run" 2>&1 </dev/null || status=$?
    if ((status == wanted)) && grep -qF -- "$text" "$output/run"; then
        echo "ok      $name"
        return
    fi
    echo "FAILED  $name: status $status, expected $wanted and: $text"
    sed 's/^/  | /' "$output/run"
    failed=$((failed + 1))
}

# Port 1 is nobody's: it needs privileges to listen there, and no service of today does.
check "a closed loop loses nothing" 0 " 200,000 answered, 0 lost, 0 duplicated, 0 corrupt, 0 reordered" \
    raw://127.0.0.1:0 --spawn-echo -c 16 --window 16 -n 200k
check "an open loop loses nothing" 0 " 0 lost, 0 duplicated, 0 corrupt, 0 reordered" \
    raw://127.0.0.1:0 --spawn-echo -c 4 --rate 20k -d 1s
check "a worker behind a route loses nothing" 0 " 100,000 answered, 0 lost, 0 duplicated, 0 corrupt, 0 reordered" \
    tcp://127.0.0.1:0/echoer --spawn-echo -c 16 --window 16 -n 100k
check "workers of a node lose nothing" 0 " 200,000 answered, 0 lost, 0 duplicated, 0 corrupt, 0 reordered" \
    local:// -c 4 --window 16 --to-core 1 -n 200k
check "a dead port is named" 3 "nothing listens at 127.0.0.1:1: connection refused" raw://127.0.0.1:1
check "a missed bound fails the run" 1 "MISSED" raw://127.0.0.1:0 --spawn-echo -n 1k --max p50=1ns
check "a wrong command line is explained" 2 "there is no scheme in front" 127.0.0.1:4000
((failed == 0))
