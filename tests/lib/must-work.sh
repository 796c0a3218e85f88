#!/bin/sh
# Tries one feature of tests/must-work: must-work.sh NAME. Exit status 0 it works, 1 it does not, 2 no such name.
# must-work.sh --list prints the names.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

# seccomp and Landlock have no command-line tool everywhere, so python3 makes the two calls.
call()
{
    python3 -c "import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
$1" 2>/dev/null
}

case ${1:-} in
--list) sed -n 's/^\([a-z][a-z0-9-]*\).*/\1/p' "$here/../must-work" ;;
userns) unshare --user --map-root-user true 2>/dev/null ;;
overlay-userxattr)
    dir=$(mktemp -d)
    trap 'chmod -R u+rwX "$dir" 2>/dev/null; rm -rf "$dir"' EXIT
    mkdir "$dir/lower" "$dir/upper" "$dir/work" "$dir/view"
    unshare --user --map-root-user --mount mount -t overlay -o \
        "userxattr,lowerdir=$dir/lower,upperdir=$dir/upper,workdir=$dir/work" none "$dir/view" 2>/dev/null
    ;;
landlock) call 'sys.exit(0 if libc.syscall(444, None, ctypes.c_size_t(0), 1) >= 1 else 1)' ;;
seccomp-notify)
    call 'action = ctypes.c_uint32(0x7fc00000)
sys.exit(0 if libc.syscall(317, 2, 0, ctypes.byref(action)) == 0 else 1)'
    ;;
cmocka) printf '#include <stdarg.h>\n#include <stddef.h>\n#include <setjmp.h>\n#include <stdint.h>\n#include <cmocka.h>\n' |
    cc -E - >/dev/null 2>&1 ;;
bubblewrap) command -v bwrap >/dev/null 2>&1 ;;
setpriv | bats | tmux | git | python3 | cc | make | jq | cmake | node | npm) command -v "$1" >/dev/null 2>&1 ;;
*) exit 2 ;;
esac
