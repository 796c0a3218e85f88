#!/bin/sh
# Runs a command with TMPDIR on a tmpfs of its own, where sync costs nothing: on-tmpfs.sh COMMAND... The fault sweep
# kills processes, not the machine, so what a disk would add to it is only waiting. The mount is in a mount namespace of the
# command's own and ends with it. Runs the command where it stands if that cannot be had: not root, or a kernel whose
# tmpfs has no user.* extended attributes (before 6.6), which an overlay needs.
set -eu
if [ "${1:-}" != --inside ]; then
    if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
        exec unshare -m --propagation private "$0" --inside "$@"
    fi
    exec "$@"
fi
shift
dir=${TMPDIR:-/tmp}/orch-tmpfs.$$
mkdir "$dir"
trap 'rmdir "$dir" 2>/dev/null || :' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if mount -t tmpfs -o mode=1777 orch-tests "$dir" 2>/dev/null; then
    if python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.x", b"")' "$dir" 2>/dev/null; then
        export TMPDIR="$dir"
    fi
fi
rc=0
"$@" || rc=$?
umount -l "$dir" 2>/dev/null || :
exit "$rc"
