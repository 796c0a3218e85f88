/*
 * filter.c - the table as a BPF program, built by libseccomp.
 *
 * Default and foreign-ABI action are USER_NOTIF, so the program only says what needs no judgement. libseccomp
 * merges overlapping argument rules wrongly and may even loop for ever, but only with ranges, NE, or several
 * arguments in one rule (libraries.md 1.3); here every rule has one MASKED_EQ comparison, for which neither
 * was ever seen (unit test and fuzz target run random policies). It is called in a child process with a time
 * limit nevertheless, and the result is verified.
 */
#include <errno.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "policy/filter_child.h"

#define MAX_RULES 2000
#define API_LEVEL                                                                                            \
    5 /* the first with SCMP_ACT_NOTIFY; set so that the result does not depend on probing the host */

static void release_ctx(scmp_filter_ctx *ctx)
{
    if (*ctx)
        seccomp_release(*ctx);
    *ctx = NULL;
}

static int set_attributes(scmp_filter_ctx ctx)
{
    static const struct {
        enum scmp_filter_attr attr;
        uint32_t value;
    } attributes[] = {
        {SCMP_FLTATR_API_SYSRAWRC, 1},
        {SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_NOTIFY},
        {SCMP_FLTATR_CTL_NNP, 0},
        {SCMP_FLTATR_CTL_OPTIMIZE, 2},
    };
    for (size_t i = 0; i < ORCH_NELEM(attributes); i++) {
        int r = seccomp_attr_set(ctx, attributes[i].attr, attributes[i].value);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Adds the rules of one call; *n counts all rules. */
static int add_rules(scmp_filter_ctx ctx, int nr, const struct orch_sc_entry *e, size_t *n)
{
    if (e->always) {
        (*n)++;
        return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, 0, NULL);
    }
    for (size_t i = 0; i < e->n_fast; i++) {
        const struct orch_sc_fast *f = &e->fast[i];
        if (f->index > 5 || ++*n > MAX_RULES)
            return -E2BIG;
        struct scmp_arg_cmp cmp = {
            .arg = f->index, .op = SCMP_CMP_MASKED_EQ, .datum_a = f->mask, .datum_b = f->value};
        int r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, 1, &cmp);
        if (r < 0)
            return r;
    }
    return 0;
}

static int export_program(scmp_filter_ctx ctx, struct orch_filter *ret, struct orch_err *err)
{
    ORCH_AUTO_FD int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0)
        return orch_err_sys(err, errno, "cannot create memory for the filter");
    int r = seccomp_export_bpf(ctx, fd);
    if (r < 0)
        return orch_err_sys(err, -r, "libseccomp cannot export the filter");
    struct stat st;
    if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return orch_err_sys(err, errno, "cannot read the filter back");
    size_t size = (size_t)st.st_size;
    if (size == 0 || size % sizeof(struct sock_filter) != 0 ||
        size / sizeof(struct sock_filter) > ORCH_FILTER_MAX_INSNS)
        return orch_err_set(err, E2BIG, "the filter has an unusable size of %zu bytes", size);
    ORCH_AUTO_FREE struct sock_filter *prog = orch_xmalloc(size);
    if (pread(fd, prog, size, 0) != (ssize_t)size)
        return orch_err_set(err, EIO, "cannot read the filter back");
    ret->len = (unsigned short)(size / sizeof(struct sock_filter));
    ret->prog = ORCH_TAKE_PTR(prog);
    return 0;
}

/* An orch_filter_maker. */
static int build(const void *arg, struct orch_filter *ret, struct orch_err *err)
{
    const struct orch_syscalls *s = arg;
    (void)seccomp_api_set(API_LEVEL);
    ORCH_AUTO(release_ctx) scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_NOTIFY);
    if (!ctx)
        return orch_err_set(err, ENOTSUP, "libseccomp cannot build a filter with notification");
    int r = set_attributes(ctx);
    if (r < 0)
        return orch_err_sys(err, -r, "libseccomp refuses a filter attribute");
    size_t n = 0;
    for (int nr = 0; nr < ORCH_SC_MAX; nr++) {
        r = add_rules(ctx, nr, &s->e[nr], &n);
        if (r < 0)
            return orch_err_sys(err, -r, "libseccomp refuses the rule for system call %d", nr);
    }
    return export_program(ctx, ret, err);
}

int orch_filter_build(const struct orch_syscalls *s, struct orch_filter *ret, struct orch_err *err)
{
    struct orch_filter f = {0};
    int r = orch_filter_in_child(build, s, ORCH_FILTER_LIMIT_MS, &f, err);
    if (r == 0)
        r = orch_filter_verify(s, &f, err);
    if (r < 0) {
        orch_filter_fini(&f);
        return r;
    }
    *ret = f;
    return 0;
}

void orch_filter_fini(struct orch_filter *f)
{
    free(f->prog);
    *f = (struct orch_filter){0};
}
