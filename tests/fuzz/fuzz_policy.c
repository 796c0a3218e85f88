/*
 * fuzz_policy.c - profile documents (alone and as a child of base) and the kept inputs of a run: accepted, or
 * refused with a diagnostic; what is accepted survives being kept and read again.
 */
#include <stdlib.h>
#include <string.h>
#include "common/buf.h"
#include "policy/workflow.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void kept_again(const struct orch_profile *p)
{
    struct orch_profile *q = NULL;
    struct orch_diags d = {0};
    check(orch_profile_from_sources(&p->sources, p->name, &q, &d) == 0);
    check(strcmp(p->digest, q->digest) == 0 && p->n_fs == q->n_fs && p->n_tools == q->n_tools);
    orch_profile_free(q);
}

static void profile(const struct orch_strv *parents, const char *text)
{
    struct orch_strv sources = {0};
    struct orch_profile *p = NULL;
    struct orch_diags d = {0};
    orch_strv_copy(&sources, parents);
    orch_strv_add_take(&sources, orch_xasprintf("./fuzz.json\n%s", text));
    int r = orch_profile_from_sources(&sources, "fuzz", &p, &d);
    check((r == 0) == (p != NULL) && (r == 0) == (d.n == 0));
    if (p != NULL)
        kept_again(p);
    orch_profile_free(p);
    orch_strv_fini(&sources);
    orch_diags_fini(&d);
}

static void workflow(const char *text, size_t len)
{
    struct orch_workflow *w = NULL, *v = NULL;
    struct orch_diags d = {0};
    int r = orch_workflow_import(text, len, &w, &d);
    check((r == 0) == (w != NULL) && (r == 0) == (d.n == 0));
    if (w != NULL) {
        struct orch_buf out = {0};
        orch_workflow_export(w, &out);
        check(orch_workflow_import(out.data, out.len, &v, &d) == 0);
        check(strcmp(w->digest, v->digest) == 0);
        orch_buf_fini(&out);
    }
    orch_workflow_free(w);
    orch_workflow_free(v);
    orch_diags_fini(&d);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct orch_strv none, base;
    if (base.n == 0)
        orch_strv_add_take(&base, orch_xasprintf("base\n%s", orch_builtin_text("base", NULL)));
    ORCH_AUTO_FREE char *text = orch_xstrndup((const char *)data, size);
    profile(&none, text);
    profile(&base, text);
    workflow((const char *)data, size);
    return 0;
}
