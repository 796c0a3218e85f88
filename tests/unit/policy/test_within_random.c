/*
 * test_within_random.c - the comparison of profiles against brute force: random pairs of a few rules over a
 * few names, every path up to some depth and every register value that could matter, asked one by one of a
 * reading of the rules that shares nothing with within_*.c.
 */
#include <linux/audit.h>
#include "common/io.h"
#include "policy/syscalls.h"
#include "policy/within.h"
#include "tests/unit/policy/profile_check.h"

#if defined(__SANITIZE_ADDRESS__)
#define ROUNDS 400 /* some thirty times slower */
#else
#define ROUNDS 2000
#endif
#define WS "/srv/ws"

static uint64_t seed = 0x9e3779b97f4a7c15;

static unsigned pick(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)((seed >> 33) % n);
}

/* --- filesystem --- */

static const char *const rule_paths[] = {"${workspace}",
                                         "${workspace}/a",
                                         "${workspace}/a/b",
                                         "${workspace}/b",
                                         "${workspace}/${phase}/b",
                                         "${workspace}/**/a",
                                         "${workspace}/**/c",
                                         "/srv",
                                         "/srv/ws/a",
                                         "/srv/ws/b/c",
                                         "/opt"};

static void random_rules(struct orch_buf *out)
{
    static const char *const access[] = {"none", "ro", "rx", "rw", "rwx"};
    bool used[ORCH_NELEM(rule_paths)] = {false};
    orch_buf_str(out, "{\"schema\": 1, \"name\": \"t\", \"filesystem\": [");
    for (unsigned i = 0, n = pick(5), written = 0; i < n; i++) {
        unsigned path = pick(ORCH_NELEM(rule_paths));
        bool anywhere = strstr(rule_paths[path], "**") != NULL;
        if (used[path])
            continue;
        used[path] = true;
        orch_buf_printf(out, "%s{\"path\": \"%s\", \"access\": \"%s\"}", written++ > 0 ? "," : "",
                        rule_paths[path], access[pick(anywhere ? 2 : 5)]);
    }
    orch_buf_str(out, "]}");
}

/* The path of a literal rule where the workspace is `ws` and the phase `phase`. Owned by the caller. */
static char *place(const struct orch_fs_rule *r, const char *ws, const char *phase)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    for (const char *p = r->path; *p != '\0';) {
        if (strncmp(p, "${workspace}", 12) == 0) {
            orch_buf_str(&b, ws);
            p += 12;
        } else if (strncmp(p, "${phase}", 8) == 0) {
            orch_buf_str(&b, phase);
            p += 8;
        } else {
            orch_buf_char(&b, *p++);
        }
    }
    return orch_buf_take(&b);
}

static unsigned bits(enum orch_access a)
{
    return (a >= ORCH_ACCESS_RO ? 1u : 0) | (a >= ORCH_ACCESS_RW ? 2u : 0) |
           (a == ORCH_ACCESS_RX || a == ORCH_ACCESS_RWX ? 4u : 0);
}

/* How far into path the rule reaches: the length of what it names there, 0 if it does not cover it. */
static size_t reach(const struct orch_fs_rule *r, const char *path, const char *ws, const char *phase)
{
    if (!r->anywhere) {
        ORCH_AUTO_FREE char *at = place(r, ws, phase);
        return orch_path_beneath(path, at) ? strlen(at) * 2 + 1 : 0; /* before a name of the same length */
    }
    size_t best = 0, n = strlen(r->path);
    for (const char *c = path + strlen(ws); orch_path_beneath(path, ws) && c != NULL && *c == '/';
         c = strchr(c + 1, '/'))
        if (strncmp(c + 1, r->path, n) == 0 && (c[n + 1] == '/' || c[n + 1] == '\0'))
            best = (size_t)(c + 1 + n - path) * 2;
    return best;
}

static unsigned brute_bits(const struct orch_profile *p, const char *path, const char *ws, const char *phase)
{
    size_t best = orch_path_beneath(path, ws) ? strlen(ws) * 2 : 0; /* shown without a rule */
    unsigned held = best > 0 ? 1 : 0;
    for (size_t i = 0; i < p->n_fs; i++) {
        size_t n = reach(&p->fs[i], path, ws, phase);
        if (n > best) {
            best = n;
            held = bits(p->fs[i].access);
        } else if (n > 0 && n == best) {
            held &= bits(
                p->fs[i].access); /* two rules for one path: no plan is made, a ceiling is the narrower */
        }
    }
    return held;
}

/* Two rules for one path: no plan is made of such a profile. */
static bool clashes(const struct orch_profile *p, const char *ws, const char *phase)
{
    for (size_t i = 0; i < p->n_fs; i++)
        for (size_t k = 0; k < i; k++) {
            ORCH_AUTO_FREE char *a = place(&p->fs[i], ws, phase), *b = place(&p->fs[k], ws, phase);
            if (!p->fs[i].anywhere && !p->fs[k].anywhere && strcmp(a, b) == 0)
                return true;
        }
    return false;
}

static bool more_at(const struct orch_profile *outer, const struct orch_profile *inner, const char *path,
                    const char *ws, const char *phase)
{
    return (brute_bits(inner, path, ws, phase) & ~brute_bits(outer, path, ws, phase)) != 0;
}

/* Every path of up to four names beneath ws, and of three beneath the root. */
static bool more_somewhere(const struct orch_profile *outer, const struct orch_profile *inner, const char *ws,
                           const char *phase)
{
    static const char *const names[] = {"", "/a", "/b", "/c", "/x"};
    static const char *const tops[] = {"/srv", "/srv/ws", "/srv/ws/b", "/opt", "/elsewhere"};
    for (unsigned code = 0; code < 625; code++) {
        ORCH_AUTO_FREE char *rest = orch_xasprintf("%s%s%s%s", names[code % 5], names[code / 5 % 5],
                                                   names[code / 25 % 5], names[code / 125]);
        ORCH_AUTO_FREE char *inside = orch_xasprintf("%s%s", ws, rest);
        if (more_at(outer, inner, inside, ws, phase))
            return true;
        for (size_t i = 0; code < 125 && i < ORCH_NELEM(tops); i++) {
            ORCH_AUTO_FREE char *path = orch_xasprintf("%s%s", tops[i], rest);
            if (more_at(outer, inner, path, ws, phase))
                return true;
        }
    }
    return false;
}

static bool brute_wider(const struct orch_profile *outer, const struct orch_profile *inner)
{
    static const char *const places[] = {"/elsewhere", "/srv", WS, WS "/a", WS "/b", WS "/b/c", "/opt"};
    static const char *const phases[] = {"x", "a", "b", "c", "ws"};
    for (size_t i = 0; i < ORCH_NELEM(places); i++)
        for (size_t k = 0; k < ORCH_NELEM(phases); k++)
            if (!clashes(inner, places[i], phases[k]) && more_somewhere(outer, inner, places[i], phases[k]))
                return true;
    return false;
}

static struct orch_profile *load_text(const char *text)
{
    struct orch_strv sources = {0};
    struct orch_profile *p = NULL;
    struct orch_diags d = {0};
    orch_strv_add_take(&sources, orch_xasprintf("./t.json\n%s", text));
    (void)orch_profile_from_sources(&sources, "t", &p, &d);
    orch_strv_fini(&sources);
    orch_diags_fini(&d);
    return p;
}

static char *judge(const struct orch_profile *outer, const struct orch_profile *inner)
{
    struct orch_diags d = {0};
    orch_profile_within(outer, inner, ORCH_BOUND_CEILING, &d);
    char *said = render(&d);
    orch_diags_fini(&d);
    return said;
}

static bool compare_paths(unsigned *wide, unsigned *narrow)
{
    ORCH_AUTO_BUF struct orch_buf a = {0}, b = {0};
    random_rules(&a);
    random_rules(&b);
    struct orch_profile *outer = load_text(a.data), *inner = load_text(b.data);
    bool ok = true;
    if (outer != NULL && inner != NULL) {
        ORCH_AUTO_FREE char *said = judge(outer, inner);
        bool wider = brute_wider(outer, inner);
        *wide += wider;
        *narrow += !wider;
        ok = (*said != '\0') == wider;
        if (!ok)
            print_error("outer %s\ninner %s\nbrute force: %s, said: %s\n", a.data, b.data,
                        wider ? "wider" : "within", said);
    }
    orch_profile_free(outer);
    orch_profile_free(inner);
    return ok;
}

static void paths_are_compared_as_by_brute_force(void **state)
{
    (void)state;
    unsigned wide = 0, narrow = 0, wrong = 0;
    for (unsigned i = 0; i < ROUNDS / 10 && wrong < 3; i++)
        wrong += !compare_paths(&wide, &narrow);
    print_message("%u wider, %u within\n", wide, narrow);
    assert_int_equal(wrong, 0);
    assert_true(wide > ROUNDS / 50 && narrow > ROUNDS / 100);
}

/* --- system calls --- */

static void random_calls(struct orch_buf *out)
{
    static const char *const ops[] = {"eq", "ne", "masked_eq"};
    static const char *const actions[] = {"allow", "errno", "kill_process"};
    static const char *const values[] = {"0", "1", "2", "3", "6"};
    orch_buf_printf(out, "{\"schema\": 1, \"name\": \"t\", \"syscalls\": {\"allow\": [%s], \"rules\": [",
                    pick(2) != 0 ? "\"kill\"" : "");
    for (unsigned i = 0, n = pick(4); i < n; i++) {
        unsigned op = pick(3);
        orch_buf_printf(out, "%s{\"syscalls\": [\"kill\"], \"action\": \"%s\"", i > 0 ? "," : "",
                        actions[pick(3)]);
        for (unsigned k = 0, args = pick(3); k < args; k++)
            orch_buf_printf(out, "%s{\"index\": %u, \"op\": \"%s\", \"value\": %s%s}",
                            k == 0 ? ", \"args\": [" : ",", k, ops[op],
                            op == 2 ? (pick(2) != 0 ? "2" : "0") : values[pick(5)],
                            op == 2 ? ", \"mask\": 6" : "");
        if (out->data[out->len - 1] == '}')
            orch_buf_char(out, ']');
        orch_buf_char(out, '}');
    }
    orch_buf_str(out, "]}}");
}

/* 2 permitted, 1 refused, 0 killed: the first rule that matches, else the list. */
static int brute_call(const struct orch_profile *p, uint64_t a, uint64_t b)
{
    const uint64_t args[2] = {a, b};
    for (size_t i = 0; i < p->n_sc_rules; i++) {
        const struct orch_syscall_rule *r = &p->sc_rules[i];
        bool hit = true;
        for (size_t k = 0; k < r->n_args; k++) {
            const struct orch_arg_cond *c = &r->args[k];
            uint64_t mask = c->op == ORCH_OP_MASKED_EQ ? c->mask : UINT32_MAX;
            bool equal = (args[c->index] & mask) == (c->value & mask);
            hit = hit && (c->op == ORCH_OP_NE ? !equal : equal);
        }
        if (hit)
            return r->action == ORCH_RULE_ALLOW ? 2 : r->action == ORCH_RULE_ERRNO ? 1 : 0;
    }
    return orch_strv_has(&p->sc_allow, "kill") ? 2 : 1;
}

static bool brute_calls_wider(const struct orch_profile *outer, const struct orch_profile *inner)
{
    for (uint64_t a = 0; a < 17; a++)
        for (uint64_t b = 0; b < 17; b++)
            if (brute_call(inner, a, b) > brute_call(outer, a, b))
                return true;
    return false;
}

static void calls_are_compared_as_by_brute_force(void **state)
{
    (void)state;
    unsigned wide = 0, narrow = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        ORCH_AUTO_BUF struct orch_buf a = {0}, b = {0};
        random_calls(&a);
        random_calls(&b);
        struct orch_profile *outer = load_text(a.data), *inner = load_text(b.data);
        if (outer != NULL && inner != NULL) {
            ORCH_AUTO_FREE char *said = judge(outer, inner);
            bool wider = brute_calls_wider(outer, inner);
            wide += wider;
            narrow += !wider;
            if ((*said != '\0') != wider)
                fail_msg("outer %s\ninner %s\nbrute force: %s, said: %s", a.data, b.data,
                         wider ? "wider" : "within", said);
        }
        orch_profile_free(outer);
        orch_profile_free(inner);
    }
    print_message("%u wider, %u within\n", wide, narrow);
    assert_true(wide > ROUNDS / 10 && narrow > ROUNDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_compared_as_by_brute_force),
        cmocka_unit_test(calls_are_compared_as_by_brute_force),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
