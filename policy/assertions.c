/* assertions.c - reading and judging the test document of a profile (assertions.h). */
#include "policy/assertions.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/hash.h"
#include "common/io.h"
#include "policy/assertions_int.h"

static const char *const expect_names[] = {"allowed", "denied", "killed", "faked", NULL};

struct reading {
    struct orch_assertions *a;
    uint64_t schema;
    const struct orch_rd *rd;
};

/* One assertion under way; how often an act was given decides whether it is one. */
struct item {
    struct orch_assertion a;
    unsigned acts;
    const cJSON *args;
};

/* ---- one assertion ---- */

static bool starts(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static bool names_a_place(const char *s)
{
    return s[0] == '/' || strcmp(s, "~") == 0 || starts(s, "~/") || starts(s, "${workspace}") ||
           starts(s, "${home}") || starts(s, "${tmp}");
}

static bool target_ok(enum orch_act act, const char *s)
{
    struct sockaddr_storage address;

    if (act == ORCH_ACT_EXEC && *s && !strchr(s, '/'))
        return true;
    if (act == ORCH_ACT_CONNECT && (orch_explain_address(s, &address) == 0 || (s[0] == '@' && s[1])))
        return true;
    return names_a_place(s) && strlen(s) < 4000;
}

static void read_act(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct item *it = base;
    const char *s = orch_rd_string(rd, node);

    it->acts++;
    for (unsigned i = 0; orch_act_names[i]; i++)
        if (strcmp(orch_act_names[i], node->string) == 0)
            it->a.act = (enum orch_act)i;
    if (!s)
        return;
    if (!target_ok(it->a.act, s))
        orch_json_error(rd->doc, node, rd->d,
                        "'%s' is not an absolute path: begin with /, ~/, ${workspace}, ${home} or ${tmp}%s",
                        s,
                        it->a.act == ORCH_ACT_EXEC      ? ", or give the name of a program"
                        : it->a.act == ORCH_ACT_CONNECT ? ", or give ADDRESS:PORT or @NAME"
                                                        : "");
    free(it->a.target);
    it->a.target = orch_xstrdup(s);
}

static void read_call(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct item *it = base;
    const char *s = orch_rd_string(rd, node);

    it->acts++;
    it->a.is_call = true;
    if (!s)
        return;
    it->a.nr = orch_explain_number(s);
    if (it->a.nr < 0)
        orch_json_error(rd->doc, node, rd->d, "'%s' is not a system call", s);
    free(it->a.target);
    it->a.target = orch_xstrdup(s);
}

static bool read_value(const struct orch_rd *rd, const cJSON *node, uint64_t *ret)
{
    const char *near;

    if (cJSON_IsNumber(node))
        return orch_rd_uint(rd, node, 0, ORCH_UINT_MAX_JSON, ret);
    if (!orch_rd_string(rd, node))
        return false;
    if (orch_explain_value(node->valuestring, ret) == 0)
        return true;
    near = orch_explain_near(node->valuestring);
    orch_json_error(rd->doc, node, rd->d, "'%s' is neither a number nor a known constant%s%s%s",
                    node->valuestring, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    return false;
}

static void read_args(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct item *it = base;
    const cJSON *v;

    it->args = node;
    if (!orch_rd_array(rd, node))
        return;
    if (cJSON_GetArraySize(node) > 6) {
        orch_json_error(rd->doc, node, rd->d, "a system call has at most 6 arguments");
        return;
    }
    cJSON_ArrayForEach(v, node)
    {
        (void)read_value(rd, v, &it->a.args[it->a.n_args]);
        it->a.n_args++;
    }
}

static void read_expect(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct item *it = base;
    const char *s = orch_rd_string(rd, node);
    unsigned i = 0;

    if (!s)
        return;
    it->a.errnum = orch_explain_errno(s);
    if (it->a.errnum)
        it->a.expect = ORCH_EXPECT_ERRNO;
    else if (s[0] == 'E')
        orch_json_error(rd->doc, node, rd->d, "'%s' is not the name of an errno", s);
    else if (orch_rd_enum(rd, node, expect_names, NULL, &i))
        it->a.expect = (enum orch_expect)i;
    free(it->a.expect_text);
    it->a.expect_text = orch_xstrdup(s);
}

static const struct orch_rd_shape args_shape = {.type = "array", .items = &orch_shape_value};
static const struct orch_rd_shape expect_shape = {.type = "string",
                                                  .pattern = "^(allowed|denied|killed|faked|E[A-Z0-9]+)$"};

static const struct orch_rd_field item_fields[] = {
    {.key = "look", .kind = ORCH_RD_CALL, .call = read_act, .shape = &orch_shape_string},
    {.key = "read", .kind = ORCH_RD_CALL, .call = read_act, .shape = &orch_shape_string},
    {.key = "write", .kind = ORCH_RD_CALL, .call = read_act, .shape = &orch_shape_string},
    {.key = "create", .kind = ORCH_RD_CALL, .call = read_act, .shape = &orch_shape_string},
    {.key = "mkdir", .kind = ORCH_RD_CALL, .call = read_act, .shape = &orch_shape_string},
    {.key = "symlink", .kind = ORCH_RD_CALL, .call = read_act, .shape = &orch_shape_string},
    {.key = "delete", .kind = ORCH_RD_CALL, .call = read_act, .shape = &orch_shape_string},
    {.key = "exec", .kind = ORCH_RD_CALL, .call = read_act, .shape = &orch_shape_string},
    {.key = "connect", .kind = ORCH_RD_CALL, .call = read_act, .shape = &orch_shape_string},
    {.key = "syscall", .kind = ORCH_RD_CALL, .call = read_call, .shape = &orch_shape_string},
    {.key = "args", .kind = ORCH_RD_CALL, .call = read_args, .shape = &args_shape},
    {.key = "expect", .kind = ORCH_RD_CALL, .call = read_expect, .required = true, .shape = &expect_shape},
    {.key = "if_present", .kind = ORCH_RD_BOOL, .off = offsetof(struct item, a.if_present)},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

static void item_fini(struct orch_assertion *a)
{
    free(a->target);
    free(a->expect_text);
}

static void read_item(const struct orch_rd *rd, const cJSON *node, struct orch_assertions *ret)
{
    struct item it = {.a.nr = -1};
    size_t errors = rd->d->n;
    unsigned col;

    orch_json_pos(rd->doc, node, &it.a.line, &col);
    if (orch_rd_object(rd, node, item_fields, &it) && it.acts != 1)
        orch_json_error(rd->doc, node, rd->d,
                        "an assertion has exactly one of look, read, write, create, mkdir, symlink, delete, "
                        "exec, connect and syscall, not %u",
                        it.acts);
    if (it.args && !it.a.is_call)
        orch_json_error(rd->doc, it.args, rd->d, "'args' belongs to 'syscall'");
    if (it.a.expect == ORCH_EXPECT_FAKED && !it.a.is_call && rd->d->n == errors)
        orch_json_error(rd->doc, node, rd->d, "only a system call can be faked");
    if (rd->d->n != errors) {
        item_fini(&it.a);
        return;
    }
    ret->v = orch_xreallocarray(ret->v, ret->n + 1, sizeof(*ret->v));
    ret->v[ret->n++] = it.a;
}

/* ---- the document ---- */

static void read_list(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct reading *r = base;
    const cJSON *item;
    int n;

    if (!orch_rd_array(rd, node))
        return;
    n = cJSON_GetArraySize(node);
    if (n < 1 || n > ORCH_ASSERT_MAX) {
        orch_json_error(rd->doc, node, rd->d, "from 1 to %d assertions, not %d", ORCH_ASSERT_MAX, n);
        return;
    }
    cJSON_ArrayForEach(item, node) read_item(rd, item, r->a);
}

static bool entry_ok(const char *s)
{
    ORCH_AUTO_FREE char *in_root = orch_xasprintf("/%s", s), *normal = orch_path_normalize("/", in_root);
    size_t n = strlen(s);

    if (n > 0 && s[n - 1] == '/')
        n--;
    return n > 0 && n < 4000 && strlen(normal) == n + 1 && strncmp(normal + 1, s, n) == 0;
}

static void read_workspace(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct reading *r = base;
    const cJSON *item;

    if (!orch_rd_array(rd, node))
        return;
    cJSON_ArrayForEach(item, node)
    {
        const char *s = orch_rd_string(rd, item);

        if (s && !entry_ok(s))
            orch_json_error(rd->doc, item, rd->d,
                            "'%s' is not a path below the workspace (no '.', '..', '//', first '/')", s);
        else if (s)
            orch_strv_add(&r->a->workspace, s);
    }
}

static void read_profile(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct reading *r = base;
    const char *s = orch_rd_string(rd, node);

    if (s && !strchr(s, '/') && !orch_builtin_text(s, NULL)) {
        const char *near = orch_near_name(s, orch_builtin_names);

        orch_json_error(rd->doc, node, rd->d, "'%s' is no built-in profile%s%s%s; a path has a slash", s,
                        near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    } else if (s) {
        free(r->a->profile);
        r->a->profile = orch_xstrdup(s);
    }
}

static const struct orch_rd_shape item_shape = {.type = "object", .fields = item_fields};
static const struct orch_rd_shape list_shape = {.type = "array", .items = &item_shape, .min = 1};

static const struct orch_rd_field fields[] = {
    {.key = "$schema", .kind = ORCH_RD_NONE},
    {.key = "schema",
     .kind = ORCH_RD_UINT,
     .off = offsetof(struct reading, schema),
     .min = 1,
     .max = 1,
     .required = true},
    {.key = "profile", .kind = ORCH_RD_CALL, .call = read_profile, .shape = &orch_shape_string},
    {.key = "workspace", .kind = ORCH_RD_CALL, .call = read_workspace, .shape = &orch_shape_strings},
    {.key = "assert", .kind = ORCH_RD_CALL, .call = read_list, .required = true, .shape = &list_shape},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

const struct orch_rd_shape orch_assertions_shape = {.type = "object", .fields = fields};

bool orch_assertions_is(const struct orch_json *doc)
{
    return orch_rd_get(orch_json_root(doc), "assert") != NULL;
}

static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');

    return slash ? orch_xstrndup(file, slash == file ? 1 : (size_t)(slash - file)) : orch_xstrdup(".");
}

int orch_assertions_read(const struct orch_json *doc, struct orch_assertions **ret, struct orch_diags *d)
{
    ORCH_AUTO(orch_assertions_freep) struct orch_assertions *a = orch_xcalloc(1, sizeof(*a));
    const struct orch_rd rd = {.doc = doc, .d = d};
    struct reading r = {.a = a, .rd = &rd};
    char digest[ORCH_HEX_SIZE];
    size_t errors = d->n, len;
    const char *text = orch_json_text(doc, &len);

    a->file = orch_xstrdup(orch_json_file(doc));
    a->dir = folder_of(a->file);
    orch_sha256_buf(text, len, digest);
    a->digest = orch_xstrdup(digest);
    if (orch_rd_schema(&rd, orch_json_root(doc)))
        (void)orch_rd_object(&rd, orch_json_root(doc), fields, &r);
    if (d->n != errors)
        return -EINVAL;
    *ret = ORCH_TAKE_PTR(a);
    return 0;
}

int orch_assertions_load(const char *file, struct orch_assertions **ret, struct orch_diags *d)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    int r = orch_json_load(file, &doc, d);

    return r < 0 ? r : orch_assertions_read(doc, ret, d);
}

void orch_assertions_free(struct orch_assertions *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n; i++)
        item_fini(&a->v[i]);
    free(a->v);
    free(a->file);
    free(a->dir);
    free(a->profile);
    free(a->digest);
    orch_strv_fini(&a->workspace);
    free(a);
}

void orch_assertions_freep(struct orch_assertions **a)
{
    orch_assertions_free(*a);
    *a = NULL;
}

/* ---- judging ---- */

char *orch_act_expand(const char *target, const char *workspace, const char *home)
{
    const struct {
        const char *name, *value;
    } vars[] = {{"${workspace}", workspace}, {"${home}", ORCH_HOME_PATH}, {"${tmp}", ORCH_TMP_PATH}};

    if (target[0] == '~' && (target[1] == '/' || target[1] == '\0'))
        return orch_xasprintf("%s%s", home, target + 1);
    for (size_t i = 0; i < ORCH_NELEM(vars); i++)
        if (starts(target, vars[i].name))
            return orch_xasprintf("%s%s", vars[i].value, target + strlen(vars[i].name));
    return orch_xstrdup(target);
}

char *orch_assertion_text(const struct orch_assertion *a)
{
    struct orch_buf b = {0};

    if (!a->is_call)
        return orch_xasprintf("%s %s", orch_act_names[a->act], a->target);
    orch_buf_printf(&b, "syscall %s(", a->target);
    for (unsigned i = 0; i < a->n_args; i++)
        orch_buf_printf(&b, "%s0x%" PRIx64, i ? ", " : "", a->args[i]);
    orch_buf_char(&b, ')');
    return orch_buf_take(&b);
}

void orch_assertion_model(const struct orch_plan *p, const struct orch_assertion *a, const char *target,
                          struct orch_explained *ret)
{
    struct sockaddr_storage address;

    if (a->is_call)
        orch_explain_call(p, a->nr, a->args, ret);
    else if (a->act == ORCH_ACT_CONNECT && orch_explain_address(target, &address) == 0)
        orch_explain_inet(p, &address, ret);
    else
        orch_explain_path(p, a->act, target, ret);
}

bool orch_expect_holds(const struct orch_assertion *a, enum orch_says says, int errnum)
{
    switch (a->expect) {
    case ORCH_EXPECT_ALLOWED:
        return says == ORCH_SAYS_PERMITTED;
    case ORCH_EXPECT_DENIED:
        return says != ORCH_SAYS_PERMITTED && says != ORCH_SAYS_FAKED;
    case ORCH_EXPECT_KILLED:
        return says == ORCH_SAYS_KILLED;
    case ORCH_EXPECT_FAKED:
        return says == ORCH_SAYS_FAKED;
    case ORCH_EXPECT_ERRNO:
        return says != ORCH_SAYS_PERMITTED && says != ORCH_SAYS_FAKED && says != ORCH_SAYS_KILLED &&
               errnum == a->errnum;
    }
    return false;
}
