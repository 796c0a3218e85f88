#!/bin/sh
# Runs a command as an ordinary user, with a home, a state directory and a temporary directory of its own, and with an
# environment that has nothing of the caller's but ORCH_*: as-user.sh COMMAND... The current directory must be readable
# to everybody. Needs root.
set -eu
uid=${ORCH_TEST_UID:-1000}
user=$(mktemp -d "${TMPDIR:-/tmp}/orch-user.XXXXXX")
trap 'rm -rf "$user"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$user/home" "$user/state" "$user/tmp"
chmod 0711 "$user"
chown -R "$uid:$uid" "$user/home" "$user/state" "$user/tmp"
for name in $(env | sed -n 's/^\(ORCH_[A-Z_]*\)=.*/\1/p'); do
    eval "set -- \"$name=\$$name\" \"\$@\""
done
setpriv --reuid "$uid" --regid "$uid" --clear-groups --inh-caps=-all env -i \
    PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME="$user/home" XDG_STATE_HOME="$user/state" \
    TMPDIR="$user/tmp" LANG=C.UTF-8 TERM="${TERM:-dumb}" "$@"
