# Sourced. readable_tree DIR: sets $tree to the current directory if an ordinary user can read all of it that tests need,
# otherwise to a copy under DIR. The current directory is the root of the sources, built.
# shellcheck shell=sh
readable_tree()
{
    tree=$PWD
    # shellcheck disable=SC2016 # the inner shell expands
    if setpriv --reuid "${ORCH_TEST_UID:-1000}" --regid "${ORCH_TEST_UID:-1000}" --clear-groups --inh-caps=-all sh -c \
        'cd "$1" && test -x build/llm && ! find . -path ./.git -prune -o ! -readable -print | grep -q .' sh "$tree" \
        2>/dev/null; then
        return
    fi
    tree=$1/tree
    mkdir "$tree"
    tar -cf - --exclude=./.git . | (cd "$tree" && tar -xf -)
    chmod -R a+rX "$tree"
    chmod a+x "$1"
}
