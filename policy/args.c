/* args.c - see args.h. */
#include "policy/args.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "policy/profile_int.h"
#include "policy/syscalls.h"
#include "policy/sysgroups.h"
#include "policy/sysgroups_list.h"

enum form {
    SIGNED, /* a number */
    MODE,   /* octal */
    ONE,    /* one name */
    FLAGS,  /* names that are or-ed; what is in `low` is one name of `first` */
};

enum kind {
    NUMBER,
    FILE_MODE,
    OPEN_MODE,
    OPEN,
    ACCESS,
    UNLINK,
    LINK,
    NOFOLLOW,
    STAT,
    EACCESS,
    RENAME,
    FAMILY,
    TYPE,
    PROTOCOL,
    MESSAGE,
    CLONE,
    UNSHARE,
    PRCTL,
    IOCTL,
    MOUNT,
    UMOUNT,
    SIGNAL,
    PTRACE,
    SECCOMP,
    SECCOMP_FLAGS,
    PERSONALITY,
    FCNTL,
    PROTECTION,
    RESOURCE,
    ARCH,
    KINDS
};

/* The flags that open looks at; it ignores all others. */
#define OPEN_BITS                                                                                            \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_ASYNC |          \
     O_DIRECT | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE)

/* `names` and `first`: beginnings of names in consts_list.h, or without them with a minus. Of names with one
 * value the first of that list is shown, so aliases are left out. */
static const struct {
    enum form form;
    uint32_t low, bits; /* bits 0: all that the kernel looks at */
    const char *names, *first;
} kinds[KINDS] = {
    [NUMBER] = {SIGNED, 0, 0, NULL, NULL},
    [FILE_MODE] = {MODE, 0, 0, NULL, NULL},
    [OPEN_MODE] = {MODE, 0, 0, NULL, NULL},
    [OPEN] = {FLAGS, O_ACCMODE, OPEN_BITS, "O_ -O_ACCMODE -O_RDONLY -O_WRONLY -O_RDWR",
              "O_RDONLY O_WRONLY O_RDWR O_ACCMODE"},
    [ACCESS] = {FLAGS, 0, 0, "R_OK W_OK X_OK", NULL},
    [UNLINK] = {FLAGS, 0, 0, "AT_REMOVEDIR", NULL},
    [LINK] = {FLAGS, 0, 0, "AT_SYMLINK_FOLLOW AT_EMPTY_PATH", NULL},
    [NOFOLLOW] = {FLAGS, 0, 0, "AT_SYMLINK_NOFOLLOW AT_EMPTY_PATH", NULL},
    [STAT] = {FLAGS, 0, 0, "AT_SYMLINK_NOFOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH", NULL},
    [EACCESS] = {FLAGS, 0, 0, "AT_EACCESS AT_SYMLINK_NOFOLLOW AT_EMPTY_PATH", NULL},
    [RENAME] = {FLAGS, 0, 0, "RENAME_", NULL},
    [FAMILY] = {ONE, 0, 0, "AF_ -AF_FILE -AF_LOCAL -AF_ROUTE", NULL},
    [TYPE] = {FLAGS, 0xf, 0, "SOCK_CLOEXEC SOCK_NONBLOCK", "SOCK_ -SOCK_CLOEXEC -SOCK_NONBLOCK"},
    [PROTOCOL] = {ONE, 0, 0, "IPPROTO_", NULL},
    [MESSAGE] = {FLAGS, 0, 0, "MSG_", NULL},
    [CLONE] = {FLAGS, 0xff, 0, "CLONE_ -CLONE_NEWTIME", "SIG"},
    [UNSHARE] = {FLAGS, 0, 0, "CLONE_", NULL},
    [PRCTL] = {ONE, 0, 0,
               "PR_ -PR_CAP_AMBIENT_ -PR_PAC_AP -PR_SET_MM_ -PR_SET_PTRACER_ANY -PR_SET_VMA_ -PR_SPEC_",
               NULL},
    [IOCTL] =
        {ONE, 0, 0,
         "FICLONE FIDEDUPERANGE FIFREEZE FIO FITHAW FITRIM FS_IOC_ BLK TC TIOC -TIOCINQ KDSKBENT VHOST_ "
         "NS_",
         NULL},
    [MOUNT] = {FLAGS, 0, 0, "MS_", NULL},
    [UMOUNT] = {FLAGS, 0, 0, "MNT_ UMOUNT_NOFOLLOW", NULL},
    [SIGNAL] = {ONE, 0, 0, "SIG", NULL},
    [PTRACE] = {ONE, 0, 0, "PTRACE_", NULL},
    [SECCOMP] = {ONE, 0, 0, "SECCOMP_SET_MODE_ SECCOMP_GET_", NULL},
    [SECCOMP_FLAGS] = {FLAGS, 0, 0, "SECCOMP_FILTER_FLAG_", NULL},
    [PERSONALITY] = {FLAGS, 0xff, 0,
                     "UNAME26 ADDR_ FDPIC_FUNCPTRS MMAP_PAGE_ZERO READ_IMPLIES_EXEC SHORT_INODE "
                     "WHOLE_SECONDS STICKY_TIMEOUTS",
                     "PER_"},
    [FCNTL] = {ONE, 0, 0, "F_ -F_OK", NULL},
    [PROTECTION] = {FLAGS, 0, 0, "PROT_ -PROT_NONE", NULL},
    [RESOURCE] = {ONE, 0, 0, "RLIMIT_ -RLIMIT_OFILE", NULL},
    [ARCH] = {ONE, 0, 0, "ARCH_", NULL},
};

#define MAX_ARGS 3

/* Descriptors are left out: they are other numbers for the same thing, and would keep repeats apart. */
static const struct row {
    bool given;
    struct {
        uint8_t index;
        uint8_t kind;
        const char *name;
    } args[MAX_ARGS];
} rows[ORCH_SC_MAX] = {
    [ORCH_NR_open] = {true, {{1, OPEN, "flags"}, {2, OPEN_MODE, "mode"}}},
    [ORCH_NR_openat] = {true, {{2, OPEN, "flags"}, {3, OPEN_MODE, "mode"}}},
    [ORCH_NR_creat] = {true, {{1, FILE_MODE, "mode"}}},
    [ORCH_NR_mkdir] = {true, {{1, FILE_MODE, "mode"}}},
    [ORCH_NR_mkdirat] = {true, {{2, FILE_MODE, "mode"}}},
    [ORCH_NR_mknod] = {true, {{1, FILE_MODE, "mode"}}},
    [ORCH_NR_mknodat] = {true, {{2, FILE_MODE, "mode"}}},
    [ORCH_NR_chmod] = {true, {{1, FILE_MODE, "mode"}}},
    [ORCH_NR_fchmod] = {true, {{1, FILE_MODE, "mode"}}},
    [ORCH_NR_fchmodat] = {true, {{2, FILE_MODE, "mode"}}},
    [ORCH_NR_fchmodat2] = {true, {{2, FILE_MODE, "mode"}, {3, NOFOLLOW, "flags"}}},
    [ORCH_NR_chown] = {true, {{1, NUMBER, "uid"}, {2, NUMBER, "gid"}}},
    [ORCH_NR_lchown] = {true, {{1, NUMBER, "uid"}, {2, NUMBER, "gid"}}},
    [ORCH_NR_fchownat] = {true, {{2, NUMBER, "uid"}, {3, NUMBER, "gid"}, {4, NOFOLLOW, "flags"}}},
    [ORCH_NR_utimensat] = {true, {{3, NOFOLLOW, "flags"}}},
    [ORCH_NR_access] = {true, {{1, ACCESS, "mode"}}},
    [ORCH_NR_faccessat] = {true, {{2, ACCESS, "mode"}}},
    [ORCH_NR_faccessat2] = {true, {{2, ACCESS, "mode"}, {3, EACCESS, "flags"}}},
    [ORCH_NR_newfstatat] = {true, {{3, STAT, "flags"}}},
    [ORCH_NR_statx] = {true, {{2, STAT, "flags"}}},
    [ORCH_NR_unlinkat] = {true, {{2, UNLINK, "flags"}}},
    [ORCH_NR_linkat] = {true, {{4, LINK, "flags"}}},
    [ORCH_NR_renameat2] = {true, {{4, RENAME, "flags"}}},
    [ORCH_NR_socket] = {true, {{0, FAMILY, "family"}, {1, TYPE, "type"}, {2, PROTOCOL, "protocol"}}},
    [ORCH_NR_socketpair] = {true, {{0, FAMILY, "family"}, {1, TYPE, "type"}, {2, PROTOCOL, "protocol"}}},
    [ORCH_NR_connect] = {true, {{0, 0, NULL}}},
    [ORCH_NR_bind] = {true, {{0, 0, NULL}}},
    [ORCH_NR_sendto] = {true, {{3, MESSAGE, "flags"}}},
    [ORCH_NR_clone] = {true, {{0, CLONE, "flags"}}},
    [ORCH_NR_unshare] = {true, {{0, UNSHARE, "flags"}}},
    [ORCH_NR_setns] = {true, {{1, UNSHARE, "flags"}}},
    [ORCH_NR_prctl] = {true, {{0, PRCTL, "option"}}},
    [ORCH_NR_arch_prctl] = {true, {{0, ARCH, "option"}}},
    [ORCH_NR_ioctl] = {true, {{1, IOCTL, "request"}}},
    [ORCH_NR_fcntl] = {true, {{1, FCNTL, "command"}}},
    [ORCH_NR_mount] = {true, {{3, MOUNT, "flags"}}},
    [ORCH_NR_umount2] = {true, {{1, UMOUNT, "flags"}}},
    [ORCH_NR_kill] = {true, {{0, NUMBER, "pid"}, {1, SIGNAL, "signal"}}},
    [ORCH_NR_tkill] = {true, {{0, NUMBER, "tid"}, {1, SIGNAL, "signal"}}},
    [ORCH_NR_tgkill] = {true, {{0, NUMBER, "pid"}, {1, NUMBER, "tid"}, {2, SIGNAL, "signal"}}},
    [ORCH_NR_pidfd_send_signal] = {true, {{1, SIGNAL, "signal"}}},
    [ORCH_NR_ptrace] = {true, {{0, PTRACE, "request"}, {1, NUMBER, "pid"}}},
    [ORCH_NR_seccomp] = {true, {{0, SECCOMP, "operation"}, {1, SECCOMP_FLAGS, "flags"}}},
    [ORCH_NR_personality] = {true, {{0, PERSONALITY, "persona"}}},
    [ORCH_NR_mprotect] = {true, {{2, PROTECTION, "protection"}}},
    [ORCH_NR_setrlimit] = {true, {{0, RESOURCE, "resource"}}},
    [ORCH_NR_prlimit64] = {true, {{0, NUMBER, "pid"}, {1, RESOURCE, "resource"}}},
};

static const struct row *find_row(int nr)
{
    return nr >= 0 && nr < ORCH_SC_MAX && rows[nr].given ? &rows[nr] : NULL;
}

bool orch_args_row(size_t i, int *ret_nr, unsigned *ret_index, const char **ret_name, const char **ret_names)
{
    if (i >= ORCH_SC_MAX * MAX_ARGS)
        return false;
    const struct row *r = &rows[i / MAX_ARGS];
    *ret_nr = (int)(i / MAX_ARGS);
    *ret_index = r->args[i % MAX_ARGS].index;
    *ret_name = r->args[i % MAX_ARGS].name;
    *ret_names = kinds[r->args[i % MAX_ARGS].kind].names;
    return true;
}

/* ---- which, and their values ---- */

/* A mode means something only where something may be made. */
static bool makes(const struct row *r, const uint64_t regs[6])
{
    uint64_t flags = regs[r->args[0].index];
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

/* Longs that only have flags of 32 bits, and a request, which has all. */
static uint64_t mask_of(int nr, unsigned index, enum kind kind)
{
    uint64_t mask = orch_syscall_arg_mask(nr, index);
    if (kinds[kind].form == FLAGS || kinds[kind].form == SIGNED)
        mask &= UINT32_MAX;
    return kinds[kind].bits ? mask & kinds[kind].bits : mask;
}

static unsigned pick_unnamed(int nr, const uint64_t regs[6], uint64_t ret[6])
{
    unsigned picked = 0;
    for (unsigned i = 0; i < 6; i++) {
        uint64_t mask = orch_syscall_arg_mask(nr, i);
        if (mask == ~UINT64_C(0))
            continue;
        ret[i] = regs[i] & mask;
        picked |= 1u << i;
    }
    return picked;
}

unsigned orch_args_pick(int nr, bool all, const uint64_t regs[6], uint64_t ret[6])
{
    const struct row *r = find_row(nr);
    unsigned picked = 0;
    for (size_t i = 0; i < 6; i++)
        ret[i] = 0;
    if (r == NULL)
        return all ? pick_unnamed(nr, regs, ret) : 0;
    for (size_t i = 0; i < MAX_ARGS && r->args[i].name != NULL; i++) {
        unsigned index = r->args[i].index;
        enum kind kind = r->args[i].kind;
        if (kind == OPEN_MODE && !makes(r, regs))
            continue;
        ret[index] = regs[index] & mask_of(nr, index, kind);
        picked |= 1u << index;
    }
    return picked;
}

/* ---- names ---- */

struct value {
    const char *name;
    uint64_t value;
};

struct names {
    struct value *v;
    size_t n;
    bool made;
};

struct orch_args {
    struct names of[KINDS], first[KINDS];
};

struct orch_args *orch_args_new(void)
{
    return orch_xcalloc(1, sizeof(struct orch_args));
}

void orch_args_free(struct orch_args *a)
{
    for (size_t i = 0; a != NULL && i < KINDS; i++) {
        free(a->of[i].v);
        free(a->first[i].v);
    }
    free(a);
}

/* Does the list of beginnings take the name? The last word that fits decides. */
static bool takes(const char *list, const char *name)
{
    bool taken = false;
    while (*list != '\0') {
        bool minus = *list == '-';
        const char *word = list + minus;
        size_t n = strcspn(word, " ");
        if (strncmp(name, word, n) == 0)
            taken = !minus;
        list = word + n + strspn(word + n, " ");
    }
    return taken;
}

/* What has more bits comes first, so that O_SYNC is not taken for the O_DSYNC in it. */
static size_t place_for(const struct names *names, uint64_t value)
{
    size_t i = names->n;
    while (i > 0 && __builtin_popcountll(names->v[i - 1].value) < __builtin_popcountll(value))
        i--;
    return i;
}

static const struct names *make_names(struct names *names, const char *list)
{
    const char *name;
    uint64_t value;
    if (names->made || list == NULL)
        return names;
    names->made = true;
    for (size_t i = 0; orch_const_at(i, &name, &value); i++) {
        if (!takes(list, name))
            continue;
        size_t at = place_for(names, value);
        names->v = orch_xreallocarray(names->v, names->n + 1, sizeof(names->v[0]));
        memmove(&names->v[at + 1], &names->v[at], (names->n - at) * sizeof(names->v[0]));
        names->v[at] = (struct value){name, value & UINT32_MAX};
        names->n++;
    }
    return names;
}

static const char *name_of(const struct names *names, uint64_t value)
{
    for (size_t i = 0; i < names->n; i++)
        if (names->v[i].value == value)
            return names->v[i].name;
    return NULL;
}

/* ---- writing ---- */

static void put_hex(struct orch_jw *w, const char *key, uint64_t v)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "0x%" PRIx64, v);
    orch_jw_str(w, key, text);
}

static void put_one(struct orch_args *a, struct orch_jw *w, const char *key, enum kind kind, uint64_t v)
{
    const char *name = name_of(make_names(&a->of[kind], kinds[kind].names), v);
    if (name != NULL)
        orch_jw_str(w, key, name);
    else
        put_hex(w, key, v);
}

static void put_flags(struct orch_args *a, struct orch_jw *w, const char *key, enum kind kind, uint64_t v)
{
    const struct names *names = make_names(&a->of[kind], kinds[kind].names);
    const char *first = name_of(make_names(&a->first[kind], kinds[kind].first), v & kinds[kind].low);
    orch_jw_arr(w, key);
    if (first != NULL) {
        orch_jw_str(w, NULL, first);
        v &= ~(uint64_t)kinds[kind].low;
    }
    for (size_t i = 0; i < names->n; i++) {
        uint64_t bits = names->v[i].value;
        if (bits == 0 || (v & bits) != bits)
            continue;
        orch_jw_str(w, NULL, names->v[i].name);
        v &= ~bits;
    }
    if (v != 0)
        put_hex(w, NULL, v);
    orch_jw_end(w, ']');
}

/* A protocol has a name only in the families of the internet. */
static bool is_inet(const uint64_t args[6])
{
    return args[0] == AF_INET || args[0] == AF_INET6;
}

static void put_arg(struct orch_args *a, struct orch_jw *w, const char *key, enum kind kind,
                    const uint64_t args[6], unsigned index)
{
    uint64_t v = args[index];
    char text[16];
    if (kinds[kind].form == MODE) {
        (void)snprintf(text, sizeof(text), "0%" PRIo64, v & 0177777);
        orch_jw_str(w, key, text);
    } else if (kinds[kind].form == SIGNED || (kind == PROTOCOL && !is_inet(args))) {
        orch_jw_int(w, key, (int32_t)(uint32_t)v);
    } else if (kinds[kind].form == ONE) {
        put_one(a, w, key, kind, v);
    } else {
        put_flags(a, w, key, kind, v);
    }
}

static void put_row(struct orch_args *a, struct orch_jw *w, const struct row *r, unsigned picked,
                    const uint64_t args[6])
{
    for (size_t i = 0; i < MAX_ARGS && r->args[i].name != NULL; i++)
        if (picked & 1u << r->args[i].index)
            put_arg(a, w, r->args[i].name, r->args[i].kind, args, r->args[i].index);
}

void orch_args_write(struct orch_args *a, struct orch_jw *w, int nr, bool all, const uint64_t regs[6],
                     int family)
{
    const struct row *r = find_row(nr);
    uint64_t args[6];
    unsigned picked = orch_args_pick(nr, all, regs, args);
    if (picked == 0 && family == 0)
        return;
    orch_jw_obj(w, "args");
    if (family != 0)
        put_one(a, w, "family", FAMILY, (uint64_t)family);
    if (r != NULL)
        put_row(a, w, r, picked, args);
    for (unsigned i = 0; r == NULL && i < 6; i++) {
        char key[3] = {'a', (char)('0' + i), '\0'};
        if (picked & 1u << i)
            put_hex(w, key, args[i]);
    }
    orch_jw_end(w, '}');
}

/* ---- reading ---- */

static bool read_words(const cJSON *list, uint64_t *ret)
{
    const cJSON *word;
    uint64_t v;
    *ret = 0;
    cJSON_ArrayForEach(word, list)
    {
        if (!cJSON_IsString(word) || !orch_const_value(word->valuestring, &v))
            return false;
        *ret |= v & UINT32_MAX;
    }
    return true;
}

static bool read_arg(const cJSON *arg, enum form form, uint64_t *ret)
{
    if (cJSON_IsArray(arg))
        return read_words(arg, ret);
    if (cJSON_IsNumber(arg)) {
        *ret = (uint32_t)(int64_t)arg->valuedouble;
        return true;
    }
    if (!cJSON_IsString(arg))
        return false;
    if (form == MODE) {
        *ret = strtoull(arg->valuestring, NULL, 8);
        return true;
    }
    return orch_const_value(arg->valuestring, ret);
}

unsigned orch_args_read(int nr, const cJSON *args, uint64_t ret[6])
{
    const struct row *r = find_row(nr);
    unsigned known = 0;
    memset(ret, 0, 6 * sizeof(ret[0]));
    for (size_t i = 0; r != NULL && i < MAX_ARGS && r->args[i].name != NULL; i++) {
        const cJSON *arg = cJSON_GetObjectItemCaseSensitive(args, r->args[i].name);
        if (read_arg(arg, kinds[r->args[i].kind].form, &ret[r->args[i].index]))
            known |= 1u << r->args[i].index;
    }
    for (unsigned i = 0; r == NULL && i < 6; i++) {
        char key[3] = {'a', (char)('0' + i), '\0'};
        if (read_arg(cJSON_GetObjectItemCaseSensitive(args, key), ONE, &ret[i]))
            known |= 1u << i;
    }
    return known;
}
