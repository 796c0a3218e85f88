/* replay_read.c - members of journal records, and the long ones of a verdict. See replay_int.h. */
#include <string.h>

#include "supervisor/replay_int.h"

static const cJSON *orch_rec_member(struct orch_rec *r, const char *key)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(r->node, key);

    if (!n && !r->bad)
        r->bad = key;
    return n;
}

const char *orch_rec_text(struct orch_rec *r, const char *key)
{
    const cJSON *n = orch_rec_member(r, key);

    if (n && !cJSON_IsString(n) && !cJSON_IsNull(n) && !r->bad)
        r->bad = key;
    return cJSON_IsString(n) ? n->valuestring : "";
}

static bool is_clean(const char *s)
{
    while (*s >= 0x20 && *s <= 0x7e)
        s++;
    return *s == '\0';
}

const char *orch_rec_clean(struct orch_rec *r, const char *key)
{
    const char *s = orch_rec_text(r, key);

    if (is_clean(s))
        return s;
    if (!r->bad)
        r->bad = key;
    return "";
}

uint64_t orch_rec_number(struct orch_rec *r, const char *key)
{
    const cJSON *n = orch_rec_member(r, key);

    if (cJSON_IsNumber(n) && n->valuedouble >= 0)
        return (uint64_t)n->valuedouble;
    if (!r->bad)
        r->bad = key;
    return 0;
}

int orch_rec_small(struct orch_rec *r, const char *key)
{
    const cJSON *n = orch_rec_member(r, key);

    if (cJSON_IsNumber(n))
        return n->valueint;
    if (!r->bad)
        r->bad = key;
    return 0;
}

bool orch_rec_truth(struct orch_rec *r, const char *key)
{
    const cJSON *n = orch_rec_member(r, key);

    if (n && !cJSON_IsBool(n) && !r->bad)
        r->bad = key;
    return cJSON_IsTrue(n);
}

const cJSON *orch_rec_list(struct orch_rec *r, const char *key)
{
    const cJSON *n = orch_rec_member(r, key);

    if (n && !cJSON_IsArray(n) && !r->bad)
        r->bad = key;
    return cJSON_IsArray(n) ? n : NULL;
}

void orch_rec_strings(struct orch_rec *r, const char *key, struct orch_strv *ret)
{
    const cJSON *all = orch_rec_list(r, key), *n;

    cJSON_ArrayForEach(n, all)
    {
        if ((!cJSON_IsString(n) || !is_clean(n->valuestring)) && !r->bad)
            r->bad = key;
        orch_strv_add(ret, cJSON_IsString(n) ? n->valuestring : "");
    }
}

/* 64 lower-case hex digits, or nothing where that is allowed. */
void orch_rec_digest(struct orch_rec *r, const char *key, bool may_be_empty, char ret[ORCH_HEX_SIZE])
{
    const char *s = orch_rec_text(r, key);
    size_t n = strlen(s);

    if ((n == 0 && may_be_empty) || (n == ORCH_HEX_SIZE - 1 && strspn(s, "0123456789abcdef") == n))
        memcpy(ret, s, n + 1);
    else if (!r->bad)
        r->bad = key;
}

static void read_gates(struct orch_verdict_record *v, struct orch_rec *r)
{
    const cJSON *gates = orch_rec_list(r, "gates"), *n;

    v->gates = orch_xcalloc((size_t)cJSON_GetArraySize(gates) + 1, sizeof(*v->gates));
    cJSON_ArrayForEach(n, gates)
    {
        struct orch_rec g = {.node = n};

        v->gates[v->n_gates++] = (struct orch_gate_record){
            .name = orch_xstrdup(orch_rec_clean(&g, "name")),
            .type = orch_xstrdup(orch_rec_clean(&g, "type")),
            .verdict = orch_xstrdup(orch_rec_clean(&g, "verdict")),
            .reason = orch_xstrdup(orch_rec_clean(&g, "reason")),
            .forced = orch_rec_truth(&g, "forced"),
            .depth = (unsigned)orch_rec_number(&g, "depth"),
            .elapsed_ms = orch_rec_number(&g, "elapsed_ms"),
        };
        if (g.bad && !r->bad)
            r->bad = "gates";
    }
}

static void read_denied(struct orch_verdict_record *v, struct orch_rec *r)
{
    const cJSON *denied = orch_rec_list(r, "denied"), *n;

    v->denied = orch_xcalloc((size_t)cJSON_GetArraySize(denied) + 1, sizeof(*v->denied));
    cJSON_ArrayForEach(n, denied)
    {
        struct orch_rec d = {.node = n};

        v->denied[v->n_denied++] = (struct orch_denied){
            .class_name = orch_xstrdup(orch_rec_clean(&d, "class")),
            .syscall = orch_xstrdup(orch_rec_clean(&d, "syscall")),
            .access = orch_xstrdup(orch_rec_clean(&d, "access")),
            .path = orch_xstrdup(orch_rec_text(&d, "path")),
            .rule = orch_xstrdup(orch_rec_text(&d, "rule")),
            .count = orch_rec_number(&d, "count"),
            .groups = cJSON_GetObjectItemCaseSensitive(n, "groups") ? orch_rec_number(&d, "groups") : 0,
        };
        if (d.bad && !r->bad)
            r->bad = "denied";
    }
}

void orch_rec_verdict(struct orch_verdict_record *v, struct orch_rec *r)
{
    v->time = orch_xstrdup(orch_rec_clean(r, "time"));
    v->end = orch_xstrdup(orch_rec_clean(r, "end"));
    v->status = orch_rec_small(r, "status");
    v->detail = orch_xstrdup(orch_rec_clean(r, "detail"));
    if (cJSON_GetObjectItemCaseSensitive(r->node, "limits"))
        v->held = orch_xstrdup(orch_rec_clean(r, "limits"));
    v->elapsed_ms = orch_rec_number(r, "elapsed_ms");
    v->denials = orch_rec_number(r, "attempt_denials");
    v->sealed = orch_rec_truth(r, "sealed");
    v->goes_on = orch_rec_truth(r, "goes_on");
    v->passed = orch_rec_truth(r, "passed");
    v->exit_code = orch_rec_small(r, "exit");
    orch_rec_digest(r, "digest", true, v->digest);
    orch_rec_digest(r, "home_digest", true, v->home_digest);
    orch_rec_digest(r, "audit_head", false, v->audit_head);
    read_gates(v, r);
    read_denied(v, r);
    orch_rec_strings(r, "problems", &v->problems);
}
