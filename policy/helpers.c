/* helpers.c - the helper table as data, in groups by program. */
#include "common/util.h"
#include "policy/helpers.h"

#define MULTIARCH "/usr/lib/x86_64-linux-gnu"

/* clang-format off */
const struct orch_helper orch_helpers[] = {
    /* every dynamic program: what libc opens by itself */
    {"*", ORCH_HELPER_DIR, MULTIARCH "/gconv"},
    {"*", ORCH_HELPER_DIR, "/usr/lib64/gconv"},
    {"*", ORCH_HELPER_DIR, "/usr/lib/gconv"},
    {"*", ORCH_HELPER_LIBRARY, MULTIARCH "/libnss_*.so.2"},
    {"*", ORCH_HELPER_LIBRARY, "/lib/x86_64-linux-gnu/libnss_*.so.2"},
    {"*", ORCH_HELPER_LIBRARY, "/usr/lib64/libnss_*.so.2"},
    {"*", ORCH_HELPER_LIBRARY, MULTIARCH "/libgcc_s.so.1"}, /* pthread_cancel, backtrace */
    {"*", ORCH_HELPER_LIBRARY, "/usr/lib64/libgcc_s.so.1"},
    {"*", ORCH_HELPER_DATA, "/usr/lib/locale"},

    {"bash", ORCH_HELPER_DATA, "/usr/share/terminfo"},
    {"bash", ORCH_HELPER_DATA, "/usr/lib/terminfo"},
    {"bash", ORCH_HELPER_DATA, "/lib/terminfo"},

    {"git", ORCH_HELPER_DIR, "$PREFIX/lib/git-core"},
    {"git", ORCH_HELPER_DIR, "$PREFIX/libexec/git-core"},
    {"git", ORCH_HELPER_DATA, "$PREFIX/share/git-core"},
    {"git", ORCH_HELPER_PROGRAM, "sh"},

    {"make", ORCH_HELPER_PROGRAM, "sh"},
    {"gmake", ORCH_HELPER_PROGRAM, "sh"},
    {"ninja", ORCH_HELPER_PROGRAM, "sh"},
    {"*awk", ORCH_HELPER_PROGRAM, "sh"},
    {"gawk", ORCH_HELPER_DIR, MULTIARCH "/gawk"},
    {"gawk", ORCH_HELPER_DATA, "/usr/share/awk"},
    {"file", ORCH_HELPER_DATA, "/usr/share/misc/magic*"},
    {"file", ORCH_HELPER_DATA, "/usr/lib/file"},

    {"tar", ORCH_HELPER_PROGRAM, "gzip"},
    {"tar", ORCH_HELPER_PROGRAM, "bzip2"},
    {"tar", ORCH_HELPER_PROGRAM, "xz"},
    {"tar", ORCH_HELPER_PROGRAM, "zstd"},

    {"cc", ORCH_HELPER_PROGRAM, "gcc"},
    {"c++", ORCH_HELPER_PROGRAM, "g++"},
    {"*gcc*", ORCH_HELPER_DIR, "/usr/lib/gcc"},
    {"*gcc*", ORCH_HELPER_DIR, "/usr/libexec/gcc"},
    {"*gcc*", ORCH_HELPER_DIR, "$PREFIX/lib/gcc"},
    {"*gcc*", ORCH_HELPER_DIR, "$PREFIX/libexec/gcc"},
    {"*gcc*", ORCH_HELPER_PROGRAM, "as"},
    {"*gcc*", ORCH_HELPER_PROGRAM, "ld"},
    {"*gcc*", ORCH_HELPER_PROGRAM, "ar"},
    {"*gcc*", ORCH_HELPER_PROGRAM, "nm"},
    {"*gcc*", ORCH_HELPER_PROGRAM, "ranlib"},
    {"*gcc*", ORCH_HELPER_PROGRAM, "strip"},
    {"*gcc*", ORCH_HELPER_PROGRAM, "objcopy"},
    {"*g++*", ORCH_HELPER_PROGRAM, "gcc"},
    {"*g++*", ORCH_HELPER_PROGRAM, "as"},
    {"cpp", ORCH_HELPER_PROGRAM, "gcc"},
    {"ld", ORCH_HELPER_PROGRAM, "ld.bfd"},
    {"ld", ORCH_HELPER_PROGRAM, "ld.gold"},
    {"ld", ORCH_HELPER_DIR, "/usr/lib/bfd-plugins"},
    {"ld", ORCH_HELPER_DATA, MULTIARCH "/ldscripts"},
    {"clang*", ORCH_HELPER_DIR, "$PREFIX/lib/clang"},
    {"clang*", ORCH_HELPER_PROGRAM, "ld"},
    {"clang*", ORCH_HELPER_PROGRAM, "ld.lld"},
    {"clang*", ORCH_HELPER_PROGRAM, "as"},

    {"python3*", ORCH_HELPER_DIR, "$PREFIX/lib/python3*"},
    {"python3*", ORCH_HELPER_DIR, "/usr/local/lib/python3*"},
    {"python3*", ORCH_HELPER_DATA, "$PREFIX/pyvenv.cfg"},
    {"python3*", ORCH_HELPER_DATA, "/usr/share/zoneinfo"},

    {"perl*", ORCH_HELPER_DIR, MULTIARCH "/perl*"},
    {"perl*", ORCH_HELPER_DIR, "$PREFIX/lib/perl*"},
    {"perl*", ORCH_HELPER_DATA, "/usr/share/perl*"},
    {"perl*", ORCH_HELPER_DIR, "/usr/local/lib/x86_64-linux-gnu/perl*"},
    {"perl*", ORCH_HELPER_DATA, "/usr/local/share/perl*"},

    {"node", ORCH_HELPER_DIR, "$PREFIX/lib/node_modules"},
    {"node", ORCH_HELPER_DIR, MULTIARCH "/nodejs"},
    {"node", ORCH_HELPER_DATA, "/usr/share/nodejs"},

    {"ruby*", ORCH_HELPER_DIR, "$PREFIX/lib/ruby"},
    {"ruby*", ORCH_HELPER_DIR, MULTIARCH "/ruby"},
    {"go", ORCH_HELPER_DIR, "$PREFIX/pkg"},
    {"go", ORCH_HELPER_DATA, "$PREFIX/src"},
    {"go", ORCH_HELPER_DATA, "$PREFIX/VERSION"},
    {"go", ORCH_HELPER_DATA, "/usr/share/go*"},
    {"rustc", ORCH_HELPER_DIR, "$PREFIX/lib/rustlib"},
    {"rustc", ORCH_HELPER_PROGRAM, "cc"},
    {"cargo", ORCH_HELPER_PROGRAM, "rustc"},
    {"java", ORCH_HELPER_DIR, "$PREFIX/lib"},
    {"java", ORCH_HELPER_DATA, "$PREFIX/conf"},
    {"cmake", ORCH_HELPER_DATA, "$PREFIX/share/cmake*"},
    {"ctest", ORCH_HELPER_DATA, "$PREFIX/share/cmake*"},
    {"ctest", ORCH_HELPER_PROGRAM, "cmake"},
};
/* clang-format on */

const size_t orch_n_helpers = ORCH_NELEM(orch_helpers);
