#!/usr/bin/env bash
# Runs fuzz targets one after the other and prints what each did.
#
#     fuzz/run.sh SECONDS [TARGET...]
#
# Without targets: all of them. Corpora are kept in `corpus/`, crashers in `artifacts/`, whole logs
# in `logs/`. Fails if any target found something, after all have run.
#
# Debug assertions are on. The address sanitizer is not: the crate forbids unsafe code, and without
# it several times as much is tried. SANITIZER=address turns it on.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:?usage: fuzz/run.sh SECONDS [TARGET...]}"
shift
targets=("$@")
if [ "${#targets[@]}" -eq 0 ]; then
    mapfile -t targets < <(cargo +nightly fuzz list)
fi
sanitizer="${SANITIZER:-none}"
mkdir -p fuzz/logs
# What does not compile is no finding.
for target in "${targets[@]}"; do
    cargo +nightly fuzz build --sanitizer "$sanitizer" "$target"
done

# The last number that a log has after a word.
last() { { grep -oE "$1: *[0-9]+" "$2" || echo 0; } | grep -oE '[0-9]+$' | tail -1; }

findings() { find "fuzz/artifacts/$1" -type f 2>/dev/null | wc -l; }

run() {
    local target="$1" log="fuzz/logs/$1.log" before found status=0
    before="$(findings "$target")"
    cargo +nightly fuzz run --sanitizer "$sanitizer" "$target" -- -max_total_time="$seconds" \
        -timeout=60 -print_final_stats=1 >"$log" 2>&1 || status=$?
    found=$(($(findings "$target") - before))
    printf '%-12s %10s executions   cov: %6s   ft: %7s   findings: %s\n' "$target" \
        "$(last 'number_of_executed_units' "$log")" "$(last cov "$log")" "$(last ft "$log")" \
        "$found"
    if [ "$status" -ne 0 ]; then
        echo "$target failed with status $status; see $log"
        return 1
    fi
}

failed=0
for target in "${targets[@]}"; do
    run "$target" || failed=1
done
exit "$failed"
