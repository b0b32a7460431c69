#!/usr/bin/env bash
# A cloud of a community, on this machine: the service that the paper on the original BaseFS describes.
#
#   cargo build --features cli && PATH=$PWD/target/debug:$PATH examples/cloud.sh
#
# A superuser appoints two administrators, they let users in, and each user keeps in /users/NAME what
# the community needs to know: info, contact, ssh_keys, nodes (what runs where) and apps (the virtual
# machines that shall run). Three nodes replicate it over QUIC, on loopback. Each of them runs a handler
# (cloud/machines.sh) that makes those machines real which are declared for it; here a machine is a
# process. The script prints what people type and what comes of it, and fails if anything else comes.
set -euo pipefail
machines=$(cd "$(dirname "$0")" && pwd)/cloud/machines.sh
world=$(mktemp -d)
declare -A nodes=()

cleanup() {
    local file
    if [ ${#nodes[@]} -gt 0 ]; then kill "${nodes[@]}" 2> /dev/null || true; fi
    wait
    for file in "$world"/*/machines/*.pid; do
        if [ -e "$file" ]; then kill "$(cat "$file")" 2> /dev/null || true; fi
    done
    rm -rf "$world"
}
trap cleanup EXIT

say() { printf '\n# %s\n' "$*"; }
fail() { echo "cloud: $*" >&2; exit 1; }

# WHO VERB …: on the machine of that person, whose hierarchies are in a directory of their own.
as() { XDG_DATA_HOME=$world/$1 basefs "${@:2}"; }
# The same, shown.
types() { echo "$1\$ basefs ${*:2}"; as "$@"; }
# WHO PATH TEXT: writes a file.
writes() { echo "$1\$ echo '${3//$'\n'/; }' | basefs put cloud $2"; echo "$3" | as "$1" put cloud "$2"; }

# WHO: starts the node of that person, with its handler.
run() {
    XDG_DATA_HOME=$world/$1 basefs run cloud --listen 127.0.0.1:0 \
        --handler "/users=$machines cloud $1 $world/$1/machines" > "$world/$1.log" 2>&1 &
    nodes[$1]=$!
    soon "$1 runs" grep -q listens "$world/$1.log"
    echo "$1's node runs"
}
halt() {
    kill "${nodes[$1]}"
    wait "${nodes[$1]}" || true
    unset "nodes[$1]"
    echo "$1's node is off"
}

# WHAT COMMAND …: waits until the command succeeds.
soon() {
    for _ in $(seq 400); do
        if "${@:2}" > /dev/null 2>&1; then return; fi
        sleep 0.05
    done
    fail "$1: not after 20 seconds"
}
# WHO PATH TEXT: waits until that person reads this there.
reads() {
    contains() { as "$1" cat cloud "$2" | grep -qF "$3"; }
    soon "$1 reads '$3' in $2" contains "$@"
    echo "$1 reads in $2: $(as "$1" cat cloud "$2")"
}
# PERSON APP: the process of a machine, if it lives.
process() {
    local file
    for file in "$world"/*/machines/"$1.$2.pid"; do
        if [ -e "$file" ] && kill -0 "$(cat "$file")" 2> /dev/null; then cat "$file"; fi
    done
}
is_gone() { [ -z "$(process "$1" "$2")" ]; }
author() { XDG_DATA_HOME=$world/$1 basefs status cloud | sed -n 's/^author *//p'; }

say "The superuser founds the cloud"
types superuser new cloud > /dev/null
echo 'superuser$ basefs new cloud'
types superuser mkdir cloud /users
run superuser
ticket=$(as superuser ticket cloud)

say "Two administrators join, and may do everything in /users"
for admin in ana ben; do
    as "$admin" join cloud "$ticket" > /dev/null
    types superuser grant cloud /users "$(author "$admin")" --rights all --label "$admin"
    run "$admin"
    soon "$admin may write" as "$admin" mkdir cloud "/users/$admin"
done
ticket=$(as ana ticket cloud)

say "The superuser's key is not needed any more; it goes into a safe"
halt superuser

say "The administrators let users in, each into a directory of their own"
as cleo join cloud "$ticket" > /dev/null
run cleo
types ana mkdir cloud /users/cleo
types ana grant cloud /users/cleo "$(author cleo)" --label cleo
types ben mkdir cloud /users/dora
types ben grant cloud /users/dora "$(as dora genkey "$world/dora.key" | grep -oE '[0-9a-f]{64}')" --label dora
soon "cleo may write" as cleo mkdir cloud /users/cleo/apps
writes cleo /users/cleo/info 'Cleo, Carrer Major 1'
writes cleo /users/cleo/contact 'cleo@example.net'
writes cleo /users/cleo/ssh_keys 'ssh-ed25519 AAAAC3Nz… cleo'
echo "cleo\$ basefs mkdir cloud /users/dora/apps"
if as cleo mkdir cloud /users/dora/apps 2> /dev/null; then fail "cleo wrote in /users/dora"; fi
echo "cleo is refused in /users/dora"

say "Cleo declares a virtual machine; Ben's node, which it names, starts it"
writes cleo /users/cleo/apps/web $'image: debian\nmemory: 64\nnode: ben'
reads cleo /users/cleo/nodes/ben/web 'running: debian with 64 MiB'
first=$(process cleo web)
[ -n "$first" ] || fail "no process"
echo "it is a process"

say "She gives it more memory: it is replaced"
writes cleo /users/cleo/apps/web $'image: debian\nmemory: 128\nnode: ben'
reads cleo /users/cleo/nodes/ben/web 'running: debian with 128 MiB'
second=$(process cleo web)
if [ -z "$second" ] || [ "$second" = "$first" ]; then fail "it was not replaced"; fi
echo "it is another process"

say "She moves it to Ana's node"
writes cleo /users/cleo/apps/web $'image: debian\nmemory: 128\nnode: ana'
reads cleo /users/cleo/nodes/ben/web 'stopped'
reads cleo /users/cleo/nodes/ana/web 'running: debian with 128 MiB'

say "She deletes it: it stops"
types cleo rm cloud /users/cleo/apps/web
soon "it stops" is_gone cleo web
reads cleo /users/cleo/nodes/ana/web 'stopped'

say "While Cleo is cut off, she and an administrator change the same file"
halt cleo
writes cleo /users/cleo/contact 'cleo@example.org'
writes ana /users/cleo/contact 'the address of Cleo bounces; ask Ana'
run cleo
reads cleo /users/cleo/contact 'ask Ana'
soon "ana hears of it" sh -c "XDG_DATA_HOME=$world/ana basefs conflicts cloud | grep -q lost"
types ana conflicts cloud
types ana explain cloud /users/cleo/contact

say "Cleo misbehaves"
writes cleo /users/cleo/apps/miner $'image: miner\nmemory: 4096\nnode: ben'
reads ben /users/cleo/nodes/ben/miner 'running: miner with 4096 MiB'

say "An administrator revokes her; nothing that she wrote counts any more, and the machine stops"
types ben revoke cloud cleo --path /users/cleo --discard
types ben revoke cloud cleo --path /users/cleo --discard --yes
soon "it stops" is_gone cleo miner
reads ana /users/cleo/nodes/ben/miner 'stopped'
again() { ! echo again | as cleo put cloud /users/cleo/apps/miner; }
soon "cleo is refused" again
echo "cleo's own node refuses her now"
types ana tree cloud
