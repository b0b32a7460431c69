#!/usr/bin/env bash
# Makes the virtual machines real that are declared for one node; `basefs run --handler` starts it
# when something below /users changes. A machine is a process here, where a cloud would start a guest.
#
#   machines.sh HIERARCHY NODE DIRECTORY
#
# It doesn't ask what the change was. It compares what is declared with what runs, as any handler
# should: events may come twice, and some are missed while a node is down.
set -euo pipefail
hierarchy=$1 node=$2 dir=$3

# What it reports itself is no reason to look again.
case ${BASEFS_EVENT_PATH:-} in */nodes | */nodes/*) exit 0 ;; esac

# Handlers of different paths run side by side; only one of them counts machines.
mkdir -p "$dir"
exec 9> "$dir/lock"
flock 9

# USER APP TEXT: tells the user. Each node has a place of its own, so no two of them disagree.
report() {
    printf '%s\n' "$3" | basefs put "$hierarchy" "/users/$1/nodes/$node/$2"
}

# USER APP
stop() {
    kill "$(cat "$dir/$1.$2.pid")" 2> /dev/null || true
    rm -f "$dir/$1.$2.pid" "$dir/$1.$2.declared"
}

# USER APP DECLARATION
start() {
    local image memory
    image=$(sed -n 's/^image: *//p' <<< "$3")
    memory=$(sed -n 's/^memory: *//p' <<< "$3")
    # In a session of its own: it outlives this script, and its node.
    setsid sleep 3600 > /dev/null 2>&1 9>&- < /dev/null &
    echo $! > "$dir/$1.$2.pid"
    echo "$3" > "$dir/$1.$2.declared"
    report "$1" "$2" "running: $image with $memory MiB"
}

# What is declared: /users/NAME/apps/APP, for those that name this node.
# Names are what others choose: only those of letters, digits and dashes become names of files here.
declared=" "
while IFS= read -r path; do
    [[ $path =~ ^[A-Za-z0-9-]+/apps/[A-Za-z0-9-]+$ ]] || continue
    text=$(basefs cat "$hierarchy" "/users/$path" 2> /dev/null < /dev/null) || continue
    grep -qx "node: *$node" <<< "$text" || continue
    user=${path%%/*} app=${path##*/}
    declared+="$user.$app "
    was=$(cat "$dir/$user.$app.declared" 2> /dev/null || true)
    if [ "$text" = "$was" ]; then continue; fi
    if [ -n "$was" ]; then stop "$user" "$app"; fi
    start "$user" "$app" "$text"
done < <(basefs ls -R "$hierarchy" /users)

# What runs and is declared no longer.
for file in "$dir"/*.pid; do
    [ -e "$file" ] || continue
    machine=$(basename "$file" .pid)
    case $declared in *" $machine "*) continue ;; esac
    stop "${machine%%.*}" "${machine#*.}"
    report "${machine%%.*}" "${machine#*.}" "stopped"
done
