/* consts.c - names for errno values and for the values of system call arguments. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <asm/prctl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include "policy/consts_list.h"
#include "policy/profile_int.h"

struct named_value {
    const char *name;
    uint64_t value;
};

#define HEADER_ROW(name) {#name, (uint64_t)(name)},
#define OWN_ROW(name, value) {#name, (value)},
static const struct named_value consts[] = {ORCH_CONST_LIST(HEADER_ROW, OWN_ROW){NULL, 0}};

/* Digits in base 10, or 0x and digits in base 16; no sign, no blank, nothing behind. */
static bool parse_number(const char *s, uint64_t *ret)
{
    bool hex = s[0] == '0' && s[1] == 'x';
    const char *digits = hex ? s + 2 : s;
    if (!(hex ? isxdigit((unsigned char)digits[0]) : isdigit((unsigned char)digits[0])))
        return false;
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(digits, &end, hex ? 16 : 10);
    if (errno != 0 || *end != '\0')
        return false;
    *ret = v;
    return true;
}

int orch_errno_number(const char *s)
{
    uint64_t v;
    if (parse_number(s, &v))
        return v >= 1 && v <= 4095 ? (int)v : -1;
    for (int e = 1; e < 134; e++) {
        const char *name = strerrorname_np(e);
        if (name != NULL && strcmp(name, s) == 0)
            return e;
    }
    if (strcmp(s, "EWOULDBLOCK") == 0)
        return EWOULDBLOCK;
    return strcmp(s, "EOPNOTSUPP") == 0 ? EOPNOTSUPP : -1;
}

/* One name or number, n bytes of s. */
static bool one_value(const char *s, size_t n, uint64_t *ret)
{
    char word[64];
    if (n == 0 || n >= sizeof(word))
        return false;
    memcpy(word, s, n);
    word[n] = '\0';
    for (size_t i = 0; consts[i].name != NULL; i++)
        if (strcmp(consts[i].name, word) == 0) {
            *ret = consts[i].value;
            return true;
        }
    return parse_number(word, ret);
}

bool orch_const_value(const char *s, uint64_t *ret)
{
    uint64_t all = 0, v;
    for (;;) {
        s += strspn(s, " ");
        size_t n = strcspn(s, " |");
        if (!one_value(s, n, &v))
            return false;
        all |= v;
        s += n;
        s += strspn(s, " ");
        if (*s == '\0')
            break;
        if (*s++ != '|')
            return false;
    }
    *ret = all;
    return true;
}

bool orch_const_at(size_t i, const char **ret_name, uint64_t *ret_value)
{
    if (i >= ORCH_NELEM(consts) - 1)
        return false;
    *ret_name = consts[i].name;
    *ret_value = consts[i].value;
    return true;
}

/* The first word that is no value is the one to look for. */
const char *orch_const_near(const char *s)
{
    const char *names[ORCH_NELEM(consts)];
    uint64_t v;
    for (size_t i = 0; i < ORCH_NELEM(consts); i++)
        names[i] = consts[i].name;
    s += strspn(s, " |");
    while (*s != '\0' && one_value(s, strcspn(s, " |"), &v)) {
        s += strcspn(s, " |");
        s += strspn(s, " |");
    }
    ORCH_AUTO_FREE char *word = orch_xstrndup(s, strcspn(s, " |"));
    return orch_near_name(word, names);
}
