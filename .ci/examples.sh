#!/usr/bin/env bash
# Runs each example in release and compares what it prints with examples/expected/<name>.txt.
#
# In an expected line, `{}` or `{…}` stands for any text, also none, so that figures can differ. Only
# standard output is compared. Where there is an examples/expected/<name>.args, the example is run once with
# each of its lines as arguments, and the outputs are taken together.
#
#   .ci/examples.sh            all examples; one without an expected text is a failure, and so is
#                              an expected text without an example
#   .ci/examples.sh NAME…      these
set -euo pipefail
cd "$(dirname "$0")/.."

seconds_max=120
expected=examples/expected
package=ringpost-examples
# The guide's program with the crate renamed in Cargo is a package of its own.
renamed=renamed

output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT

# The examples of the manifest, and the package beside them.
examples() {
    { sed -n '/^\[\[example\]\]/,/^name/ s/^name = "\(.*\)"/\1/p' examples/Cargo.toml; echo "$renamed"; } | sort
}

# Compares the file $2 with the expected text $1, and says where they part.
text_matches() {
    local -a want have
    local line pattern
    mapfile -t want <"$1"
    mapfile -t have <"$2"
    for ((line = 0; line < ${#want[@]} || line < ${#have[@]}; line++)); do
        # What the shell would read as a pattern is taken as it stands, but for the braces.
        pattern=$(sed -e 's/[][*?\\()|+@!<>&]/\\&/g' -e 's/{}/*/g' -e 's/{…}/*/g' <<<"${want[line]-}")
        # shellcheck disable=SC2053 # the right side is meant as a pattern
        if ((line >= ${#want[@]} || line >= ${#have[@]})) || [[ ${have[line]} != $pattern ]]; then
            echo "  line $((line + 1)), expected: ${want[line]-(no such line)}"
            echo "  line $((line + 1)), printed:  ${have[line]-(no such line)}"
            return 1
        fi
    done
}

# Runs the example $1 and checks its end and its output.
check() {
    local name=$1 status=0 run
    local -a target=(-p "$package" --example "$name")
    if [[ $name == "$renamed" ]]; then
        target=(-p ringpost-renamed)
    fi
    if [[ ! -f $expected/$name.txt ]]; then
        echo "  there is no $expected/$name.txt"
        return 1
    fi
    cargo build --quiet --release "${target[@]}" || return 1
    local -a runs=("") args
    if [[ -f $expected/$name.args ]]; then
        mapfile -t runs <"$expected/$name.args"
    fi
    for run in "${runs[@]}"; do
        read -ra args <<<"$run"
        timeout "$seconds_max" cargo run --quiet --release "${target[@]}" -- "${args[@]}" \
            >>"$output/$name" 2>>"$output/$name.err" </dev/null || status=$?
    done
    if ((status == 0)) && text_matches "$expected/$name.txt" "$output/$name"; then
        return 0
    fi
    ((status == 0)) || echo "  it ended with status $status (124: after $seconds_max s)"
    sed 's/^/  | /' "$output/$name"
    sed 's/^/  ! /' "$output/$name.err"
    return 1
}

if (($# > 0)); then
    names=("$@")
else
    # Expected texts are listed too, so that one without an example is run, and fails.
    mapfile -t names < <({ examples; find "$expected" -name '*.txt' -exec basename {} .txt \;; } | sort -u)
fi

failed=0
for name in "${names[@]}"; do
    if report=$(check "$name" 2>&1); then
        echo "ok      $name"
    else
        echo "FAILED  $name"
        echo "$report"
        failed=$((failed + 1))
    fi
done
echo "examples: $((${#names[@]} - failed)) as expected, $failed not"
((failed == 0))
