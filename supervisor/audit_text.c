/* audit_text.c - members of a record that are lists or objects, in words. See audit_rows.h. */
#include <string.h>

#include "common/escape.h"
#include "supervisor/audit_rows.h"

/* In ASCII, unlike cJSON's. As deep as the reader lets documents be. */
static void put_json(struct orch_jw *w, const char *key, const cJSON *item)
{
    const cJSON *member;

    if (cJSON_IsString(item)) {
        orch_jw_str(w, key, item->valuestring);
    } else if (cJSON_IsNumber(item)) {
        orch_jw_int(w, key, (int64_t)item->valuedouble);
    } else if (cJSON_IsBool(item)) {
        orch_jw_bool(w, key, cJSON_IsTrue(item));
    } else if (cJSON_IsArray(item) || cJSON_IsObject(item)) {
        (cJSON_IsArray(item) ? orch_jw_arr : orch_jw_obj)(w, key);
        cJSON_ArrayForEach(member, item) put_json(w, member->string, member);
        orch_jw_end(w, cJSON_IsArray(item) ? ']' : '}');
    } else {
        orch_jw_null(w, key);
    }
}

char *orch_member_json(const cJSON *rec, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(rec, name);
    ORCH_AUTO_BUF struct orch_buf out = {0};
    struct orch_jw w = {.out = &out};

    if (!item)
        return NULL;
    put_json(&w, NULL, item);
    return orch_buf_take(&out);
}

static void put_value(struct orch_buf *out, const cJSON *value)
{
    if (cJSON_IsString(value))
        orch_escape_term(out, value->valuestring, strlen(value->valuestring));
    else if (cJSON_IsNumber(value))
        orch_buf_printf(out, "%.0f", value->valuedouble);
    else
        orch_buf_char(out, '?');
}

void orch_put_words(struct orch_buf *out, const char *before, const cJSON *list, const char *between)
{
    const cJSON *word;
    const char *sep = before;

    cJSON_ArrayForEach(word, list)
    {
        orch_buf_str(out, sep);
        put_value(out, word);
        sep = between;
    }
}

void orch_put_args(struct orch_buf *out, const char *before, const cJSON *args, const char *after)
{
    const cJSON *arg;
    const char *sep = before;

    cJSON_ArrayForEach(arg, args)
    {
        orch_put(out, sep, arg->string);
        if (cJSON_IsArray(arg) && cJSON_GetArraySize(arg) == 0)
            orch_buf_str(out, " 0");
        else if (cJSON_IsArray(arg))
            orch_put_words(out, " ", arg, "|");
        else {
            orch_buf_char(out, ' ');
            put_value(out, arg);
        }
        sep = ", ";
    }
    orch_buf_str(out, sep == before ? "" : after);
}

void orch_put_args_text(struct orch_buf *out, const char *before, const char *json, const char *after)
{
    cJSON *args = json ? cJSON_Parse(json) : NULL;

    orch_put_args(out, before, args, after);
    cJSON_Delete(args);
}
