/* audit_put.c - the members of a record of a denial or an exec. See audit_int.h; docs/audit.md has them all.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "common/escape.h"
#include "policy/args.h"
#include "supervisor/audit_int.h"

#ifndef ORCH_VERSION
#define ORCH_VERSION "0.1.0"
#endif

static void put_bytes(struct orch_jw *w, const char *key, const char *s)
{
    if (s)
        orch_jw_bytes(w, key, s, strlen(s));
}

static bool is_utf8(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t left = strlen(s), n;
    uint32_t cp;

    for (; left > 0; p += n, left -= n) {
        n = *p < 0x80 ? 1 : orch_utf8_next(p, left, &cp);
        if (n == 0)
            return false;
    }
    return true;
}

static void put_base64(struct orch_jw *w, const char *s)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    orch_base64(&b, s, strlen(s));
    orch_jw_str(w, NULL, b.data);
}

/* "KEY_b64" has as many elements, null where the text is exact (design 7). */
static void put_exact(struct orch_jw *w, const char *key, const char *const *list)
{
    ORCH_AUTO_FREE char *twin = orch_xasprintf("%s_b64", key);

    orch_jw_arr(w, twin);
    for (; *list; list++) {
        if (is_utf8(*list))
            orch_jw_null(w, NULL);
        else
            put_base64(w, *list);
    }
    orch_jw_end(w, ']');
}

void orch_put_list(struct orch_jw *w, const char *key, const char *const *list, bool empty_is_null)
{
    bool exact = true;

    if (!list)
        return;
    orch_jw_arr(w, key);
    for (size_t i = 0; list[i]; i++) {
        exact = exact && is_utf8(list[i]);
        if (empty_is_null && !*list[i])
            orch_jw_null(w, NULL);
        else
            orch_jw_bytes(w, NULL, list[i], strlen(list[i]));
    }
    orch_jw_end(w, ']');
    if (!exact)
        put_exact(w, key, list);
}

struct who {
    pid_t pid, tid;
    const char *exe, *comm;
    const char *const *parents;
};

static void put_who(struct orch_jw *w, const struct who *who)
{
    if (who->pid > 0)
        orch_jw_int(w, "pid", who->pid);
    if (who->tid > 0 && who->tid != who->pid)
        orch_jw_int(w, "tid", who->tid);
    put_bytes(w, "exe", who->exe);
    put_bytes(w, "comm", who->comm);
    orch_put_list(w, "parents", who->parents, true);
}

void orch_put_denial(struct orch_jw *w, struct orch_args *names, const struct orch_denial *d)
{
    char name[32];

    orch_jw_str(w, "class", orch_denial_class_name(d->class));
    put_bytes(w, "syscall", d->syscall);
    if (d->args)
        orch_args_write(names, w, d->nr, d->class == ORCH_CLASS_SYSCALL, d->args, d->family);
    put_bytes(w, "path", d->path);
    put_bytes(w, "path2", d->path2);
    put_bytes(w, "access", d->access);
    put_who(w, &(struct who){d->pid, d->tid, d->exe, d->comm, d->parents});
    put_bytes(w, "action", d->action);
    if (d->errnum > 0)
        orch_jw_str(w, "errno", orch_audit_errno(d->errnum, name));
    put_bytes(w, "rule", d->rule);
    put_bytes(w, "detail", d->detail);
}

void orch_put_exec(struct orch_jw *w, const struct orch_exec_event *e)
{
    put_bytes(w, "path", e->path);
    orch_put_list(w, "argv", e->argv, false);
    if (e->argv && e->argv_more)
        orch_jw_bool(w, "argv_more", true);
    put_who(w, &(struct who){e->pid, e->tid, e->exe, e->comm, e->parents});
}

void orch_audit_put_host(struct orch_jw *w)
{
    struct utsname un;
    bool known = uname(&un) == 0;

    orch_jw_str(w, "version", ORCH_VERSION);
    orch_jw_str(w, "host", known ? un.nodename : "unknown");
    orch_jw_str(w, "kernel", known ? un.release : "unknown");
}
