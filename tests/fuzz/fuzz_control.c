/* fuzz_control.c - requests of an agent, any bytes: one line of strict JSON in reply, and nothing but `done`
 * ends the attempt. */
#include <stdlib.h>
#include <string.h>
#include "common/json.h"
#include "supervisor/control.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static enum orch_next on_denial(void *ctx, const struct orch_denial *d)
{
    unsigned *denials = ctx;
    if (d->class != ORCH_CLASS_CONTROL || d->detail == NULL)
        abort();
    ++*denials;
    return ORCH_GO_ON;
}

static void check_reply(const struct orch_buf *reply, bool refused)
{
    struct orch_json *doc = NULL;
    struct orch_diags d = {0};
    if (orch_json_parse("reply", reply->data, reply->len, &doc, &d) < 0 ||
        memchr(reply->data, '\n', reply->len))
        abort();
    const cJSON *ok = cJSON_GetObjectItemCaseSensitive(orch_json_root(doc), "ok");
    if (!cJSON_IsBool(ok) || cJSON_IsTrue(ok) == refused)
        abort();
    orch_json_free(doc);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    unsigned denials = 0;
    struct orch_audit *audit = orch_audit_null();
    struct orch_control c = {.run_id = "r",
                             .phase_name = "p",
                             .attempt = 1,
                             .audit = audit,
                             .on_denial = on_denial,
                             .ctx = &denials};
    struct orch_buf reply = {0};
    struct orch_err err = {0};
    int failed = 0;
    enum orch_next next = orch_control_handle(&c, 1, (const char *)data, size, &reply, &failed, &err);
    if (failed || denials > 1 || (next != ORCH_GO_ON && next != ORCH_STOP_DONE))
        abort();
    if (next == ORCH_STOP_DONE && (denials != 0 || memmem(data, size, "done", 4) == NULL))
        if (memchr(data, '\\', size) == NULL) /* "done" may be written with escapes */
            abort();
    check_reply(&reply, denials == 1);
    orch_buf_fini(&reply);
    orch_audit_close(audit);
    return 0;
}
