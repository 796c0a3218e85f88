/* cmd_policy_show.c - the verb `policy show`: the effective profile with the origin of every value, what this
 * host lacks of it, and on request each file of the closure and each system call. */
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "supervisor/policy.h"
#include "supervisor/policy_rows.h"

static void calls_text(const struct orch_plan *plan, struct orch_buf *out)
{
    orch_buf_str(out, "\nsystem calls\n");
    for (int nr = 0; nr < ORCH_SC_MAX; nr++) {
        const struct orch_sc_entry *e = &plan->syscalls.e[nr];
        ORCH_AUTO_FREE char *kind = orch_entry_text(e), *origin = orch_escape_str(e->origin);

        if (orch_syscall_name(nr))
            orch_buf_printf(out, "  %3d %-26s %-34s  # %s\n", nr, orch_syscall_name(nr), kind, origin);
    }
}

static void calls_json(const struct orch_plan *plan, struct orch_jw *w)
{
    orch_jw_arr(w, "syscalls");
    for (int nr = 0; nr < ORCH_SC_MAX; nr++) {
        const struct orch_sc_entry *e = &plan->syscalls.e[nr];
        ORCH_AUTO_FREE char *kind = orch_entry_text(e);

        if (!orch_syscall_name(nr))
            continue;
        orch_jw_obj(w, NULL);
        orch_jw_int(w, "number", nr);
        orch_jw_str(w, "name", orch_syscall_name(nr));
        orch_jw_str(w, "kind", kind);
        orch_jw_str(w, "rule", e->origin);
        orch_jw_end(w, '}');
    }
    orch_jw_end(w, ']');
}

static void show_text(const struct orch_options *opt, const struct orch_plan *plan,
                      const struct orch_rows *rows, struct orch_buf *out)
{
    orch_buf_str(out, "profile ");
    orch_escape_term(out, plan->profile->name, strlen(plan->profile->name));
    orch_buf_printf(out, " sha256 %s\nworkspace ", plan->profile->digest);
    orch_escape_term(out, plan->workspace, strlen(plan->workspace));
    orch_buf_char(out, '\n');
    orch_rows_text(rows, out);
    if (opt->closure) {
        orch_buf_str(out, "\nclosure of the tools\n");
        orch_closure_print(&plan->closure, out);
    }
    if (opt->syscalls)
        calls_text(plan, out);
}

static void show_json(const struct orch_options *opt, const struct orch_plan *plan,
                      const struct orch_rows *rows, struct orch_buf *out)
{
    struct orch_jw w = {.out = out};

    orch_jw_obj(&w, NULL);
    orch_jw_uint(&w, "schema", 1);
    orch_jw_str(&w, "profile", plan->profile->name);
    orch_jw_str(&w, "sha256", plan->profile->digest);
    orch_jw_bytes(&w, "workspace", plan->workspace, strlen(plan->workspace));
    orch_rows_json(rows, &w, "rows");
    if (opt->closure)
        orch_closure_json(&plan->closure, &w, "closure");
    if (opt->syscalls)
        calls_json(plan, &w);
    orch_jw_end(&w, '}');
    orch_buf_char(out, '\n');
}

int orch_cmd_policy_show(const struct orch_options *opt)
{
    ORCH_AUTO_BUF struct orch_buf out = {0};
    struct orch_policy p = {0};
    struct orch_profile *profile = NULL;
    struct orch_plan *plan = NULL;
    struct orch_rows rows = {0};
    struct orch_err err = {0};
    int r = orch_policy_open(opt, &p, &err);

    if (r == 0)
        r = orch_policy_load(&p, opt->args[0], &profile, &plan, &err);
    if (r == 0) {
        orch_rows_of_plan(plan, &rows);
        (opt->json ? show_json : show_text)(opt, plan, &rows, &out);
    }
    r = r < 0 ? orch_fail(&err, ORCH_EXIT_USAGE) : orch_policy_print(&out, ORCH_EXIT_OK);
    orch_rows_fini(&rows);
    orch_plan_free(plan);
    orch_profile_free(profile);
    orch_policy_close(&p);
    return r;
}
