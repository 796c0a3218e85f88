/* control.c - requests of an agent. See control.h. */
#include "supervisor/control.h"

#include <errno.h>
#include <string.h>

#include "common/escape.h"
#include "common/io.h"
#include "common/json.h"
#include "supervisor/output.h"
#include "supervisor/prompt.h"
#include "supervisor/told.h"

#define SHOWN_MAX 500 /* bytes of a text on the operator's screen; the audit log has all of it */

enum text_rule { NO_TEXT, MAY_TEXT, MUST_TEXT };

static const struct command {
    const char *cmd;
    enum text_rule text;
    const char *say; /* for the operator, NULL = nothing */
    enum orch_next next;
} commands[] = {
    {"blocker", MUST_TEXT, "reports a blocker", ORCH_GO_ON},
    {"done", MAY_TEXT, "says it is done", ORCH_STOP_DONE},
    {"report", MUST_TEXT, "reports", ORCH_GO_ON},
    {"request-approval", MUST_TEXT, "asks for approval", ORCH_GO_ON},
    {"status", NO_TEXT, NULL, ORCH_GO_ON},
};

/* What a request says; strings belong to the document. why: NULL, or the sentence that refuses it. */
struct request {
    const struct command *command;
    const char *cmd, *text, *why;
};

static const char *check_keys(const cJSON *root)
{
    const cJSON *n;

    cJSON_ArrayForEach(n, root)
    {
        if (strcmp(n->string, "cmd") != 0 && strcmp(n->string, "text") != 0)
            return "a request has the keys \"cmd\" and \"text\" and no other";
        if (!cJSON_IsString(n))
            return "\"cmd\" and \"text\" are strings";
    }
    return NULL;
}

static struct request read_request(const struct orch_json *doc)
{
    const cJSON *root = orch_json_root(doc);
    struct request q = {0};

    if (!cJSON_IsObject(root)) {
        q.why = "a request is a JSON object";
        return q;
    }
    q.why = check_keys(root);
    if (q.why)
        return q;
    q.cmd = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "cmd"));
    q.text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "text"));
    for (size_t i = 0; q.cmd && i < ORCH_NELEM(commands); i++)
        if (strcmp(commands[i].cmd, q.cmd) == 0)
            q.command = &commands[i];
    if (!q.command)
        q.why = "there is no such command";
    else if (q.command->text == MUST_TEXT && !q.text)
        q.why = "this command needs a \"text\"";
    else if (q.command->text == NO_TEXT && q.text)
        q.why = "this command takes no \"text\"";
    return q;
}

static enum orch_next refuse(struct orch_control *c, pid_t peer, const char *cmd, const char *why,
                             struct orch_buf *reply)
{
    const struct orch_denial d = {
        .class = ORCH_CLASS_CONTROL,
        .nr = -1,
        .syscall = "control",
        .access = "request",
        .pid = peer,
        .action = "errno",
        .errnum = EINVAL,
        .rule = "sandbox#/control",
        .detail = cmd ? cmd : why,
    };
    struct orch_jw w = {.out = reply};

    orch_jw_obj(&w, NULL);
    orch_jw_bool(&w, "ok", false);
    orch_jw_str(&w, "error", why);
    orch_jw_end(&w, '}');
    return c->on_denial ? c->on_denial(c->ctx, &d) : ORCH_GO_ON;
}

/* Live: the groups are counted as denials come. */
static void status_members(const struct orch_control *c, struct orch_jw *w, bool all)
{
    ORCH_AUTO_FREE struct orch_told *t = NULL;
    size_t n = orch_told_of_audit(c->audit, true, &t);

    orch_jw_str(w, "run", c->run_id);
    orch_jw_str(w, "phase", c->phase_name);
    orch_jw_uint(w, "attempt", c->attempt);
    orch_jw_uint(w, "elapsed_ms", orch_now_ms() - c->began_ms);
    orch_jw_uint(w, "denials", c->denials);
    orch_told_write(w, "denied", "denied_more", t, n, c->plan);
    if (all)
        orch_prompt_facts(w, c->phase, c->plan, c->wall_ms);
    else
        orch_jw_str(w, "note", "too long for an answer: tools, paths, limits and gates are in phase.json");
}

static void answer(const struct orch_control *c, const struct request *q, bool all, struct orch_buf *reply)
{
    struct orch_jw w = {.out = reply};

    orch_jw_obj(&w, NULL);
    orch_jw_bool(&w, "ok", true);
    if (strcmp(q->cmd, "status") == 0)
        status_members(c, &w, all);
    else if (strcmp(q->cmd, "request-approval") == 0)
        orch_jw_str(&w, "note", "recorded; nobody answers it during the attempt");
    orch_jw_end(&w, '}');
}

/* A reply is one line that a socket takes at once: we never wait for its reader. */
static void accept(const struct orch_control *c, const struct request *q, struct orch_buf *reply)
{
    answer(c, q, true, reply);
    if (reply->len < ORCH_CONTROL_REPLY_MAX)
        return;
    orch_buf_reset(reply);
    answer(c, q, false, reply);
}

static int record(struct orch_control *c, const struct request *q, pid_t peer, struct orch_err *err)
{
    struct orch_jw w;

    orch_audit_begin(c->audit, "control", &w);
    orch_jw_str(&w, "cmd", q->cmd);
    if (q->text)
        orch_jw_str(&w, "text", q->text);
    orch_jw_int(&w, "pid", peer);
    return orch_audit_commit(c->audit, &w, err);
}

static void tell(struct orch_control *c, const struct request *q)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    struct orch_jw w;

    if (!c->progress || !q->command->say)
        return;
    if (q->text)
        orch_escape_term(&b, q->text, strnlen(q->text, SHOWN_MAX));
    orch_progress_note(c->progress, "%s.%u: the agent %s%s%s", c->phase_name, c->attempt, q->command->say,
                       q->text ? ": " : "", q->text ? b.data : "");
    orch_progress_begin(c->progress, "control", &w);
    orch_jw_str(&w, "phase", c->phase_name);
    orch_jw_uint(&w, "attempt", c->attempt);
    orch_jw_str(&w, "cmd", q->cmd);
    orch_jw_str(&w, "text", q->text);
    orch_progress_end(c->progress, &w);
}

enum orch_next orch_control_handle(struct orch_control *c, pid_t peer, const char *line, size_t len,
                                   struct orch_buf *reply, int *ret_failed, struct orch_err *err)
{
    struct orch_diags d = {0};
    struct orch_json *doc ORCH_AUTO(orch_json_freep) = NULL;
    ORCH_AUTO_FREE char *masked = NULL;
    struct request q;
    int r;

    if (++c->requests > ORCH_CONTROL_MAX)
        return refuse(c, peer, NULL, "too many requests in this attempt", reply);
    r = orch_json_parse("request", line, len, &doc, &d);
    orch_diags_fini(&d);
    if (r < 0)
        return refuse(c, peer, NULL, "a request is one line of strict JSON", reply);
    q = read_request(doc);
    if (q.why)
        return refuse(c, peer, q.cmd, q.why, reply);
    masked = c->secrets && q.text ? orch_mask_str(c->secrets, q.text) : NULL;
    if (masked)
        q.text = masked;
    r = record(c, &q, peer, err);
    if (r < 0) {
        *ret_failed = r;
        return ORCH_STOP_CANCEL;
    }
    tell(c, &q);
    accept(c, &q, reply);
    return q.command->next;
}
