/* notify_record.c - what a record says beside the verdict: who called, with which arguments. See
 * notify_int.h. */
#include <errno.h>
#include <string.h>

#include "sandbox/notify_int.h"

void orch_judge_who(struct judged *j, const struct orch_who_info *who)
{
    for (size_t i = 0; i < ORCH_NELEM(j->args); i++)
        j->args[i] = j->req->data.args[i];
    j->d.args = j->d.syscall ? j->args : NULL; /* of a foreign ABI they mean something else */
    j->d.pid = who->pid;
    j->d.tid = who->tid;
    j->d.exe = who->exe;
    j->d.comm = who->comm;
    j->d.parents = who->parents;
}

/* ---- argv ---- */

struct argv {
    char *v[ORCH_ARGV_MAX + 1];
    bool more;
};

static void argv_fini(struct argv *a)
{
    for (size_t i = 0; i < ORCH_ARGV_MAX; i++)
        orch_free_ptrp(&a->v[i]);
}

/* What can be read of a list that the kernel is going to read once more. Pointers beyond a page that is not
 * there: the kernel will fail. */
static void read_argv(struct orch_look *l, pid_t tid, uint64_t at, struct argv *ret)
{
    ORCH_AUTO_BUF struct orch_buf text = {0};

    for (size_t i = 0; i <= ORCH_ARGV_MAX; i++) {
        uint64_t p;
        int r;

        if (orch_look_bytes(l, tid, at + i * sizeof(p), &p, sizeof(p)) < 0 || !p)
            return;
        ret->more = i == ORCH_ARGV_MAX;
        r = ret->more ? -E2BIG : orch_look_string(l, tid, p, &text);
        if (r < 0 && r != -ENAMETOOLONG)
            return;
        ret->v[i] = orch_xstrndup(text.data, text.len < ORCH_ARG_MAX ? text.len : ORCH_ARG_MAX);
    }
}

void orch_judge_report_exec(struct judged *j)
{
    const struct orch_sandbox_hooks *h = j->n->hooks;
    pid_t tid = (pid_t)j->req->pid;
    const struct orch_who_info *who;
    ORCH_AUTO(argv_fini) struct argv argv = {0};
    bool wanted = j->n->plan->profile->audit_argv != ORCH_AUDIT_ARGV_OFF;

    if (!h->on_exec)
        return;
    who = orch_who_is(&j->n->who, tid);
    if (wanted)
        read_argv(&j->n->look, tid, orch_judge_arg(j, 1), &argv);
    h->on_exec(h->ctx, &(struct orch_exec_event){.path = j->path.path,
                                                 .pid = who->pid,
                                                 .tid = who->tid,
                                                 .exe = who->exe,
                                                 .comm = who->comm,
                                                 .parents = who->parents,
                                                 .argv = wanted ? (const char *const *)argv.v : NULL,
                                                 .argv_more = argv.more});
}
