#!/usr/bin/env bash
# Runs fuzz targets one after the other and prints what each did.
#
#     fuzz/run.sh SECONDS [TARGET...]
#
# Without targets: all of them. Corpora are kept in `corpus/`, crashers in `artifacts/`, whole logs
# in `logs/`. Fails if any target found something, after all have run. JOBS=N runs N processes of a
# target at once, which share its corpus.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:?usage: fuzz/run.sh SECONDS [TARGET...]}"
shift
targets=("$@")
if [ "${#targets[@]}" -eq 0 ]; then
    mapfile -t targets < <(cargo +nightly fuzz list)
fi
jobs="${JOBS:-1}"
mkdir -p fuzz/logs

# The last number that a log has after a word; logs of several processes are joined.
last() { grep -oE "$1:? *[0-9]+" "$2" | grep -oE '[0-9]+$' | tail -1; }

run() {
    local target="$1" log="fuzz/logs/$1.log" before after status=0
    before="$(find "fuzz/artifacts/$target" -type f 2>/dev/null | wc -l)"
    # Worker processes write their logs where they are started.
    (
        cd fuzz/logs
        rm -f fuzz-*.log
        cargo +nightly fuzz run --fuzz-dir .. "$target" -- -max_total_time="$seconds" \
            -timeout=60 -print_final_stats=1 -jobs="$([ "$jobs" -gt 1 ] && echo "$jobs" || echo 0)" \
            -workers="$jobs"
    ) >"$log" 2>&1 || status=$?
    if [ "$jobs" -gt 1 ]; then cat fuzz/logs/fuzz-*.log >>"$log"; fi
    after="$(find "fuzz/artifacts/$target" -type f 2>/dev/null | wc -l)"
    local executed
    executed="$(grep -oE 'number_of_executed_units: *[0-9]+' "$log" |
        awk '{ sum += $2 } END { print sum + 0 }')"
    printf '%-12s %12s executions %8s cov %8s ft %5s findings%s\n' "$target" "$executed" \
        "$(last cov "$log")" "$(last ft "$log")" "$((after - before))" \
        "$([ "$status" -eq 0 ] || echo "  (see $log)")"
    [ "$status" -eq 0 ] && [ "$after" -eq "$before" ]
}

failed=0
for target in "${targets[@]}"; do
    run "$target" || failed=1
done
exit "$failed"
