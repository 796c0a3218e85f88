#!/bin/sh
# Installs what the build and the tests need, if this is root on a system with apt-get; otherwise prints the line to run
# and fails if something is missing. docs/dependencies.md says what each one is for.
set -eu
needs='make gcc libc6-dev libseccomp-dev libcap-dev libcjson-dev libsodium-dev libcmocka-dev bats git jq python3 tmux util-linux bubblewrap'

if ! command -v dpkg-query >/dev/null 2>&1; then
    missing=''
    for header in seccomp.h sys/capability.h cjson/cJSON.h sodium.h; do
        printf '#include <%s>\n' "$header" | ${CC:-cc} -E - >/dev/null 2>&1 || missing="$missing $header"
    done
    for tool in bats git jq python3 setpriv tmux; do
        command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
    done
    [ -z "$missing" ] && exit 0
    echo "deps: missing:$missing" >&2
    exit 1
fi

missing=''
for package in $needs; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || :)
    [ "$status" = 'install ok installed' ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo 'deps: nothing missing'
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "deps: missing; run: sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # a list of names
apt-get -qq install -y --no-install-recommends $missing >/dev/null
echo "deps: installed$missing"
