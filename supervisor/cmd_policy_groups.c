/* cmd_policy_groups.c - the verb `policy groups`: the groups of system calls, and what a profile that allows
 * one gets. */
#include <errno.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "policy/sysgroups.h"
#include "supervisor/policy.h"

static size_t size_of(const char *group)
{
    const char *const *members = orch_syscall_group(group);
    size_t n = 0;

    while (members && members[n])
        n++;
    return n;
}

static int show_all(void)
{
    ORCH_AUTO_BUF struct orch_buf out = {0};

    for (size_t i = 0; orch_syscall_group_names[i]; i++)
        orch_buf_printf(&out, "%-18s %4zu  %s\n", orch_syscall_group_names[i],
                        size_of(orch_syscall_group_names[i]),
                        orch_syscall_group_about(orch_syscall_group_names[i]));
    return orch_policy_print(&out, ORCH_EXIT_OK);
}

/* What a number becomes in a profile that allows exactly this group. */
static const char *kind_of(const struct orch_syscalls *s, int nr)
{
    static const char *const names[] = {
        [ORCH_SC_ALLOW] = "allowed",  [ORCH_SC_WATCH] = "allowed, its path is judged",
        [ORCH_SC_REFUSE] = "refused", [ORCH_SC_FALLBACK] = "ENOSYS, counted",
        [ORCH_SC_FAKE] = "faked",     [ORCH_SC_KILL] = "killed",
    };
    const struct orch_sc_entry *e = &s->e[nr];

    if (e->kind == ORCH_SC_ALLOW && !e->always)
        return "allowed, its arguments are judged";
    return (size_t)e->kind < ORCH_NELEM(names) ? names[e->kind] : "refused";
}

static int show_one(const char *group, struct orch_err *err)
{
    const char *const *members = orch_syscall_group(group);
    ORCH_AUTO_FREE struct orch_syscalls *s = orch_xcalloc(1, sizeof(*s));
    ORCH_AUTO_FREE char *shown = orch_escape_str(group);
    ORCH_AUTO_BUF struct orch_buf out = {0};
    struct orch_profile p = {.sc_default_errno = EPERM, .audit_level = ORCH_AUDIT_OPENS};
    struct orch_diags d = {0};
    const char *near = orch_near_name(group, orch_syscall_group_names);

    if (!members)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "'%s' is no group%s%s%s", shown,
                             near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
    orch_strv_add(&p.sc_allow, group);
    if (orch_syscalls_compile(&p, s, &d) < 0) { /* nothing of it can be allowed: what is left is refused */
        orch_strv_fini(&p.sc_allow);
        (void)orch_syscalls_compile(&p, s, &d);
    }
    orch_buf_printf(&out, "%s: %zu calls, %zu of them allowed where a profile names it\n%s\n", group,
                    size_of(group), orch_syscall_group_allows(group, NULL), orch_syscall_group_about(group));
    orch_buf_char(&out, '\n');
    for (size_t i = 0; members[i]; i++) {
        int nr = orch_syscall_number(members[i]);

        orch_buf_printf(&out, "%4d  %-26s %s\n", nr, members[i],
                        nr >= 0 && nr < ORCH_SC_MAX ? kind_of(s, nr) : "");
    }
    orch_strv_fini(&p.sc_allow);
    orch_diags_fini(&d);
    return orch_policy_print(&out, ORCH_EXIT_OK);
}

int orch_cmd_policy_groups(const struct orch_options *opt)
{
    struct orch_err err = {0};
    int r = opt->n_args ? show_one(opt->args[0], &err) : show_all();

    return r < 0 ? orch_fail(&err, ORCH_EXIT_USAGE) : r;
}
