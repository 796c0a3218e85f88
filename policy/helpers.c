/* helpers.c - the helper table as data: one row a tool; see helpers.h. */
#include "policy/helpers.h"

#include "common/util.h"

#define MULTIARCH "/usr/lib/x86_64-linux-gnu"

/* clang-format off */
const struct orch_helper orch_helpers[] = {
    {.programs = "*",
     .trees = MULTIARCH "/gconv /usr/lib64/gconv /usr/lib/gconv",
     .libs = MULTIARCH "/libnss_*.so.2 /lib/x86_64-linux-gnu/libnss_*.so.2 /usr/lib64/libnss_*.so.2 "
             MULTIARCH "/libgcc_s.so.1 /usr/lib64/libgcc_s.so.1",
     .data = "/usr/lib/locale",
     .why = "every program: what the C library opens by itself for names, character sets, thread cancellation"},

    {.programs = "bash less more vi vim* nano tput clear watch",
     .data = "/usr/share/terminfo /usr/lib/terminfo /lib/terminfo",
     .why = "terminal descriptions"},
    {.programs = "*awk", .calls = "sh", .dirs = MULTIARCH "/gawk", .data = "/usr/share/awk",
     .why = "pipes and commands run by sh; gawk loads extensions"},
    {.programs = "make gmake ninja", .calls = "sh",
     .why = "recipes run by sh"},
    {.programs = "file", .data = "/usr/share/misc/magic* /usr/lib/file /usr/share/file",
     .why = "its database"},
    {.programs = "tar", .calls = "gzip bzip2 xz zstd lzip lzma",
     .why = "compressed archives"},
    {.programs = "rsync", .calls = "ssh",
     .why = "remote sides, where the profile has a network"},
    {.programs = "patch", .calls = "ed",
     .why = "scripts of ed as patches"},

    {.programs = "git", .calls = "sh basename cat envsubst expr gettext grep sed tr uname", .dirs = "$PREFIX/lib/git-core $PREFIX/libexec/git-core",
     .data = "$PREFIX/share/git-core",
     .why = "its commands are programs of git-core, some of them scripts; hooks, aliases and editors run by sh"},
    {.programs = "ssh scp sftp", .calls = "ssh", .dirs = "/usr/lib/openssh /usr/libexec/openssh",
     .data = "/etc/ssh/ssh_config /etc/ssh/ssh_config.d",
     .why = "helpers for keys on devices; the configuration of the host"},
    {.programs = "curl wget", .data = "/etc/ssl/certs /usr/share/ca-certificates /etc/wgetrc",
     .why = "certificates"},

    {.programs = "cc", .calls = "gcc",
     .why = "the driver that cc is on most hosts"},
    {.programs = "c++", .calls = "g++",
     .why = "the driver that c++ is on most hosts"},
    {.programs = "cpp *g++*", .calls = "gcc",
     .why = "they are gcc under other names"},
    {.programs = "*gcc* *g++* cpp", .calls = "as ld ar nm ranlib strip objcopy",
     .dirs = "/usr/lib/gcc /usr/libexec/gcc $PREFIX/lib/gcc $PREFIX/libexec/gcc", .data = "/usr/include",
     .why = "cc1, collect2 and plugins; assembler, linker and archiver"},
    {.programs = "ld", .calls = "ld.bfd ld.gold", .dirs = "/usr/lib/bfd-plugins",
     .data = MULTIARCH "/ldscripts /usr/lib/ldscripts",
     .why = "its variants, plugins and scripts"},
    {.programs = "clang*", .calls = "ld ld.lld as", .dirs = "$PREFIX/lib/clang",
     .data = "$PREFIX/include /usr/include /usr/lib/gcc",
     .why = "linkers; headers and run-time libraries, also those of gcc"},
    {.programs = "cmake ctest cpack", .calls = "cmake", .data = "$PREFIX/share/cmake*",
     .why = "its modules; ctest and cpack run cmake"},

    {.programs = "python3*", .dirs = "$PREFIX/lib/python3* /usr/local/lib/python3*",
     .data = "$PREFIX/pyvenv.cfg /usr/share/zoneinfo /usr/share/python-wheels",
     .why = "the standard library and installed modules, with the libraries of their extensions"},
    {.programs = "perl*",
     .dirs = MULTIARCH "/perl* $PREFIX/lib/perl* /usr/local/lib/x86_64-linux-gnu/perl*",
     .data = "/usr/share/perl* /usr/local/share/perl*",
     .why = "modules, with the libraries of their extensions"},
    {.programs = "ruby*", .dirs = "$PREFIX/lib/ruby " MULTIARCH "/ruby", .data = "/usr/share/ruby*",
     .why = "the standard library and gems"},
    {.programs = "node nodejs", .dirs = "$PREFIX/lib/node_modules " MULTIARCH "/nodejs",
     .data = "/usr/share/nodejs /etc/ssl/openssl.cnf",
     .why = "modules installed for all, with the libraries of their extensions"},
    {.programs = "npm npx yarn pnpm corepack", .calls = "node sh",
     .data = "$PREFIX/lib $PREFIX/node_modules $PREFIX/package.json /usr/share/nodejs /etc/npmrc",
     .why = "JavaScript run by node, package scripts by sh; being scripts they need a \"path\""},

    {.programs = "go gofmt", .calls = "go gcc", .dirs = "$PREFIX/pkg",
     .data = "$PREFIX/src $PREFIX/lib $PREFIX/misc $PREFIX/VERSION $PREFIX/go.env $PREFIX/api $PREFIX/test /usr/share/go*",
     .why = "compiler and linker of the tool chain, the standard library, gcc for cgo"},
    {.programs = "rustc", .calls = "cc", .dirs = "$PREFIX/lib/rustlib",
     .why = "target libraries; cc links"},
    {.programs = "cargo", .calls = "rustc rustdoc cc git",
     .why = "the compiler, the linker for build scripts"},
    {.programs = "java javac jar javadoc jshell", .dirs = "$PREFIX/lib", .data = "$PREFIX/conf $PREFIX/jmods /etc/java*",
     .why = "the virtual machine, its modules and configuration"},
    {.programs = "mvn gradle ant", .calls = "java sh", .data = "/usr/share/maven* /usr/share/java /etc/maven",
     .why = "they run java; being scripts they need a \"path\""},
};
/* clang-format on */

const size_t orch_n_helpers = ORCH_NELEM(orch_helpers);
