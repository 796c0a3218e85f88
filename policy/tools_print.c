/* tools_print.c - a closure as text and as JSON: what is in it and why. */
#include <string.h>

#include "common/escape.h"
#include "policy/tools.h"

const char *orch_closure_kind_name(enum orch_closure_kind kind)
{
    static const char *const names[] = {
        [ORCH_CLOSURE_PROGRAM] = "program", [ORCH_CLOSURE_LOADER] = "loader",
        [ORCH_CLOSURE_LIBRARY] = "library", [ORCH_CLOSURE_DIR] = "directory",
        [ORCH_CLOSURE_DATA_DIR] = "data",   [ORCH_CLOSURE_LINK] = "link",
    };
    return (size_t)kind < ORCH_NELEM(names) ? names[kind] : "unknown";
}

void orch_closure_print(const struct orch_closure *c, struct orch_buf *out)
{
    for (size_t i = 0; i < c->n; i++) {
        orch_buf_printf(out, "%-9s ", orch_closure_kind_name(c->v[i].kind));
        orch_escape_term(out, c->v[i].path, strlen(c->v[i].path));
        orch_buf_str(out, "  (");
        orch_escape_term(out, c->v[i].why, strlen(c->v[i].why));
        orch_buf_str(out, ")\n");
    }
    for (size_t i = 0; i < c->dropped.n; i++) {
        orch_buf_str(out, "dropped   ");
        orch_escape_term(out, c->dropped.v[i], strlen(c->dropped.v[i]));
        orch_buf_str(out, "\n");
    }
}

static void json_list(const struct orch_strv *sv, struct orch_jw *w, const char *key)
{
    orch_jw_arr(w, key);
    for (size_t i = 0; i < sv->n; i++)
        orch_jw_str(w, NULL, sv->v[i]);
    orch_jw_end(w, ']');
}

void orch_closure_json(const struct orch_closure *c, struct orch_jw *w, const char *key)
{
    orch_jw_obj(w, key);
    orch_jw_arr(w, "files");
    for (size_t i = 0; i < c->n; i++) {
        orch_jw_obj(w, NULL);
        orch_jw_str(w, "kind", orch_closure_kind_name(c->v[i].kind));
        orch_jw_bytes(w, "path", c->v[i].path, strlen(c->v[i].path));
        orch_jw_bytes(w, "why", c->v[i].why, strlen(c->v[i].why));
        orch_jw_end(w, '}');
    }
    orch_jw_end(w, ']');
    json_list(&c->names, w, "tools");
    json_list(&c->dropped, w, "dropped");
    orch_jw_end(w, '}');
}
