/* test_within.c - ways to permit more than the parent or the ceiling without saying so, each with the nearest
 * thing that only narrows (T-POL-10). */
#include "policy/within.h"
#include "policy/workflow.h"
#include "tests/unit/policy/profile_check.h"

#define EMPTY DOC("\"reason\": \"defaults\"")
#define WIDE "{\"schema\": 1, \"name\": \"parent\",\n"
#define OFPARENT(rest) "{\"schema\": 1, \"name\": \"t\", \"extends\": \"./parent.json\",\n" rest "}"
#define FSOF(rest) OFPARENT("\"filesystem\": [" rest "]")
#define RULESOF(rest) OFPARENT("\"syscalls\": {\"rules\": [" rest "]}")

/* A parent with something of everything. */
static const char parent[] =
    WIDE "\"requires\": \"full\", \"network\": {\"mode\": \"none\"}, \"audit\": {\"level\": \"opens\"},\n"
         "\"tools\": [\"sh\", {\"name\": \"py\", \"path\": \"/usr/bin/py\", \"with\": [\"/opt/py\"]}],\n"
         "\"create\": [\"file\", \"directory\"],\n"
         "\"filesystem\": [{\"path\": \"/usr\", \"access\": \"rx\"},\n"
         "{\"path\": \"/srv\", \"access\": \"ro\"},\n"
         "{\"path\": \"/srv/ws/secret\", \"access\": \"none\"},\n"
         "{\"path\": \"${workspace}\", \"access\": \"rw\"},\n"
         "{\"path\": \"${workspace}/hidden\", \"access\": \"none\"},\n"
         "{\"path\": \"${workspace}/plan\", \"access\": \"none\"},\n"
         "{\"path\": \"${workspace}/out\", \"access\": \"rw\", \"scratch\": true},\n"
         "{\"path\": \"${workspace}/loud\", \"access\": \"ro\"},\n"
         "{\"path\": \"${workspace}/hush\", \"access\": \"ro\", \"quiet\": true},\n"
         "{\"path\": \"${workspace}/**/.git\", \"access\": \"ro\"},\n"
         "{\"path\": \"${workspace}/**/.env\", \"access\": \"none\"},\n"
         "{\"path\": \"${home}/keys\", \"access\": \"none\"}],\n"
         "\"tmp\": {\"size\": \"1MiB\", \"files\": 10},\n"
         "\"limits\": {\"memory\": \"1GiB\", \"pids\": 10, \"cpu\": \"1m\", \"wall\": \"1m\", \"file_size\": "
         "\"1MiB\",\n"
         "\"open_files\": 64, \"workspace\": \"1MiB\", \"output\": \"1MiB\"},\n"
         "\"env\": {\"pass\": [\"LANG\"], \"set\": {\"A\": \"1\"}},\n"
         "\"syscalls\": {\"allow\": [\"@agent-base\"], \"rules\": [\n"
         "{\"syscalls\": [\"mkdir\"], \"action\": \"errno\"},\n"
         "{\"syscalls\": [\"rmdir\"], \"action\": \"kill_process\"},\n"
         "{\"syscalls\": [\"kill\"], \"action\": \"errno\", \"args\": [{\"index\": 1, \"op\": \"eq\", "
         "\"value\": 9}]},\n"
         "{\"syscalls\": [\"tkill\"], \"action\": \"errno\", \"args\": [{\"index\": 1, \"op\": \"ne\", "
         "\"value\": 15}]}]}}";

#define CALL(name, action) "{\"syscalls\": [\"" name "\"], \"action\": \"" action "\"}"
#define CALLIF(name, action, index, op, value)                                                               \
    "{\"syscalls\": [\"" name "\"], \"action\": \"" action "\", \"args\": [{\"index\": " index               \
    ", \"op\": \"" op "\", \"value\": " value "}]}"
#define CALLIFBOTH(name, action, first, second)                                                              \
    "{\"syscalls\": [\"" name "\"], \"action\": \"" action                                                   \
    "\", \"args\": [{\"index\": 0, \"op\": \"eq\", \"value\": " first                                        \
    "}, {\"index\": 1, \"op\": \"eq\", \"value\": " second "}]}"

static const struct row wider[] = {
    /* a more specific path, and what lies beneath a refusal */
    {FSOF("{\"path\": \"${workspace}/hidden/x\", \"access\": \"ro\"}"), "2:16",
     "ro on '${workspace}/hidden/x'", 1},
    {FSOF("{\"path\": \"${workspace}/hidden\", \"access\": \"ro\"}"), "2:16", "parent.json:9:1)", 1},
    {FSOF("{\"path\": \"/usr/x\", \"access\": \"rw\"}"), "2:16", "rw on '/usr/x'", 1},
    {FSOF("{\"path\": \"/usr/x\", \"access\": \"rwx\"}"), "2:16", "rwx on '/usr/x'", 1},
    {FSOF("{\"path\": \"/srv/x\", \"access\": \"rx\"}"), "2:16", "rx on '/srv/x'", 1},
    {FSOF("{\"path\": \"/\", \"access\": \"ro\"}"), "2:16", "ro on '/'", 1},
    {FSOF("{\"path\": \"/opt\", \"access\": \"none\", \"quiet\": true}"), "2:16", "is quiet", 1},
    {FSOF("{\"path\": \"${workspace}/x\", \"access\": \"rwx\", \"scratch\": true}"), "2:16", "rwx", 1},
    {FSOF("{\"path\": \"${workspace}/out\", \"access\": \"rw\"}"), "2:16", "is kept, scratch there", 1},
    {FSOF("{\"path\": \"${workspace}/out/x\", \"access\": \"rw\"}"), "2:16", "is kept, scratch there", 1},
    {FSOF("{\"path\": \"${workspace}/loud\", \"access\": \"ro\", \"quiet\": true}"), "2:16", "is quiet", 1},
    {FSOF("{\"path\": \"${workspace}/loud/x\", \"access\": \"none\", \"quiet\": true}"), "2:16", "is quiet",
     1},
    {FSOF("{\"path\": \"${workspace}\", \"access\": \"ro\", \"quiet\": true}"), "2:16", "is quiet", 1},
    {FSOF("{\"path\": \"${home}/keys\", \"access\": \"ro\"}"), "2:16", "ro on '${home}/keys'", 1},
    {FSOF("{\"path\": \"/home/agent/keys/x\", \"access\": \"ro\"}"), "2:16", "keys/x'", 1},
    {FSOF("{\"path\": \"${home}/bin\", \"access\": \"rwx\"}"), "2:16", "rwx", 1},
    {FSOF("{\"path\": \"/tmp\", \"access\": \"rwx\"}"), "2:16", "rwx", 1},
    /* names at any depth */
    {FSOF("{\"path\": \"${workspace}/a/.git\", \"access\": \"rw\"}"), "2:16", "a/.git'", 1},
    {FSOF("{\"path\": \"${workspace}/.git/hooks\", \"access\": \"rw\"}"), "2:16", "hooks'", 1},
    {FSOF("{\"path\": \"${workspace}/.env\", \"access\": \"ro\"}"), "2:16", ".env'", 1},
    {FSOF("{\"path\": \"${workspace}/**/.env\", \"access\": \"ro\"}"), "2:16", "**/.env'", 1},
    {FSOF("{\"path\": \"${workspace}/**/x\", \"access\": \"ro\"}"), "2:16", "shows it where it is hidden", 1},
    {FSOF("{\"path\": \"${workspace}/**/.git\", \"access\": \"ro\", \"quiet\": true}"), "2:16", "is quiet",
     1},
    /* two spellings of one path */
    {FSOF("{\"path\": \"${workspace}/secret/x\", \"access\": \"ro\"}"), "2:16",
     "where the workspace is '/srv/ws'", 1},
    {FSOF("{\"path\": \"${workspace}/${phase}/x\", \"access\": \"rw\"}"), "2:16", "in a phase 'hidden'", 1},
    {FSOF("{\"path\": \"${workspace}/hid${phase}/x\", \"access\": \"rw\"}"), "2:16", "in a phase 'den'", 1},
    /* tools */
    {OFPARENT("\"tools\": \"*\""), "2:10", "tools: \"*\"", 1},
    {OFPARENT("\"tools\": [\"@parent\", \"curl\"]"), "2:22", "tools: 'curl'", 1},
    {OFPARENT("\"tools\": [{\"name\": \"sh\", \"path\": \"/opt/sh\"}]"), "2:11", "'sh' with another path", 1},
    {OFPARENT("\"tools\": [\"py\"]"), "2:11", "'py' with another path", 1},
    {OFPARENT(
         "\"tools\": [{\"name\": \"py\", \"path\": \"/usr/bin/py\", \"with\": [\"/opt/py\", \"/opt\"]}]"),
     "2:11", "'py' with more files", 1},
    {OFPARENT("\"tools\": [{\"name\": \"py\", \"path\": \"/usr/bin/py\", \"with\": [\"/opt/py/x\"]}]"),
     "2:11", "'py' with more files", 1},
    /* system calls */
    {OFPARENT("\"syscalls\": {\"allow\": [\"@parent\", \"msgget\"]}"), "2:35", "syscalls.allow: 'msgget'", 1},
    {OFPARENT("\"syscalls\": {\"allow\": [\"@parent\", \"@network-client\"]}"), "2:35", "'@network-client'",
     1},
    {RULESOF(CALL("mkdir", "allow")), "2:", "allows 'mkdir'", 1},
    {RULESOF(CALL("msgget", "allow")), "2:", "allows 'msgget'", 1},
    {RULESOF(CALL("rmdir", "errno")), "2:", "'rmdir' is not killed for", 1},
    {RULESOF(CALLIF("rmdir", "errno", "0", "eq", "1")), "2:", "'rmdir' is not killed for", 1},
    {RULESOF(CALLIF("mkdir", "allow", "1", "eq", "448")), "2:", "allows 'mkdir'", 1},
    {RULESOF(CALLIF("kill", "allow", "1", "eq", "9")), "2:", "parent.json:24:1)", 1},
    {RULESOF(CALLIF("kill", "allow", "0", "eq", "7")), "2:", "allows 'kill'", 1},
    {RULESOF(CALLIF("kill", "allow", "1", "ne", "15")), "2:", "allows 'kill'", 1},
    {RULESOF(CALL("kill", "allow")), "2:", "allows 'kill'", 1},
    {RULESOF(CALLIF("tkill", "allow", "1", "eq", "9")), "2:", "allows 'tkill'", 1},
    {RULESOF(CALLIF("socket", "allow", "0", "eq", "\"AF_INET\"")), "2:", "allows 'socket'", 1},
    /* numbers: more, larger units, and none at all */
    {OFPARENT("\"limits\": {\"memory\": \"2GiB\"}"), "2:22", "limits.memory", 1},
    {OFPARENT("\"limits\": {\"memory\": \"1TB\"}"), "2:22", "limits.memory", 1},
    {OFPARENT("\"limits\": {\"pids\": 11}"), "2:20", "limits.pids", 1},
    {OFPARENT("\"limits\": {\"cpu\": \"1h\"}"), "2:19", "limits.cpu", 1},
    {OFPARENT("\"limits\": {\"wall\": \"60001ms\"}"), "2:20", "limits.wall", 1},
    {OFPARENT("\"limits\": {\"file_size\": \"1049kB\"}"), "2:25", "limits.file_size", 1},
    {OFPARENT("\"limits\": {\"open_files\": 65}"), "2:26", "limits.open_files", 1},
    {OFPARENT("\"limits\": {\"workspace\": \"1GiB\"}"), "2:25", "limits.workspace", 1},
    {OFPARENT("\"limits\": {\"output\": \"1GiB\"}"), "2:22", "limits.output", 1},
    {OFPARENT("\"limits\": {\"scope\": \"process\"}"), "2:21", "limits.scope", 1},
    {OFPARENT("\"tmp\": {\"size\": \"1GiB\"}"), "2:17", "tmp.size", 1},
    {OFPARENT("\"tmp\": {\"files\": 11}"), "2:18", "tmp.files", 1},
    /* single values */
    {OFPARENT("\"network\": {\"mode\": \"loopback\"}"), "2:21", "network.mode", 1},
    {OFPARENT("\"requires\": \"nested\""), "2:13", "requires: nested", 1},
    {OFPARENT("\"create\": [\"@parent\", \"symlink\"]"), "2:23", "create: 'symlink'", 1},
    {OFPARENT("\"env\": {\"pass\": [\"@parent\", \"HTTP_PROXY\"]}"), "2:29", "env.pass: 'HTTP_PROXY'", 1},
    /* names that no profile gives, widen or not */
    {OFPARENT("\"env\": {\"set\": {\"LD_PRELOAD\": \"/x\"}}, \"widen\": \"x\""), "2:", "program loader", 1},
    {OFPARENT("\"env\": {\"pass\": [\"LD_LIBRARY_PATH\"]}, \"widen\": \"x\""), "2:", "program loader", 1},
    /* the parent's list twice is a slip, not more of it */
    {OFPARENT("\"tools\": [\"@parent\", \"@parent\"]"), "2:22", "already given", 1},
    {OFPARENT("\"env\": {\"pass\": [\"@parent\", \"@parent\"]}"), "2:29", "twice", 1},
    {OFPARENT("\"syscalls\": {\"allow\": [\"@parent\", \"@parent\"]}"), "2:35", "twice", 1},
    {OFPARENT("\"create\": [\"@parent\", \"@parent\"]"), "2:23", "twice", 1},
};

static const char *const narrower[] = {
    FSOF("{\"path\": \"${workspace}/hidden/x\", \"access\": \"none\"}"),
    FSOF("{\"path\": \"/usr/x\", \"access\": \"rx\"}, {\"path\": \"/usr/y\", \"access\": \"ro\"}"),
    FSOF("{\"path\": \"/usr\", \"access\": \"none\"}"),
    FSOF("{\"path\": \"${workspace}\", \"access\": \"ro\"}"),
    FSOF("{\"path\": \"${workspace}/out\", \"access\": \"ro\"}"),
    FSOF("{\"path\": \"${workspace}/x\", \"access\": \"rw\", \"scratch\": true}"),
    FSOF("{\"path\": \"${workspace}/hush/x\", \"access\": \"none\", \"quiet\": true}"),
    FSOF("{\"path\": \"${workspace}/.git/hooks\", \"access\": \"none\"}"),
    FSOF("{\"path\": \"${workspace}/**/.git\", \"access\": \"none\"}"),
    FSOF("{\"path\": \"${workspace}/**/x\", \"access\": \"none\"}"),
    FSOF("{\"path\": \"${workspace}/${phase}x\", \"access\": \"rw\"}"),
    FSOF("{\"path\": \"${workspace}/other/x\", \"access\": \"rw\"}"),
    FSOF("{\"path\": \"/usr\", \"access\": \"rx\", \"required\": false}"),
    OFPARENT("\"tools\": [\"sh\"]"),
    OFPARENT("\"tools\": [\"sh\", {\"name\": \"py\", \"path\": \"/usr/bin/py\"}]"),
    OFPARENT("\"syscalls\": {\"allow\": [\"read\", \"write\", \"@parent\"]}"),
    OFPARENT("\"syscalls\": {\"default\": \"ENOSYS\", \"allow\": [\"read\"]}"),
    RULESOF(CALL("rmdir", "kill_process")),
    RULESOF(CALL("mkdir", "kill_process")),
    RULESOF(CALLIF("kill", "allow", "1", "eq", "15")),
    RULESOF(CALLIF("tkill", "allow", "1", "eq", "15")),
    RULESOF(CALLIFBOTH("kill", "errno", "1", "15") ", " CALLIF("kill", "allow", "1", "eq", "15")),
    RULESOF(CALLIF("socket", "allow", "0", "eq", "\"AF_UNIX\"")),
    RULESOF(CALLIF("kill", "kill_process", "1", "eq", "9")),
    OFPARENT("\"limits\": {\"memory\": \"1024MiB\", \"pids\": 10, \"cpu\": \"60s\", \"scope\": \"tree\"}"),
    OFPARENT("\"tmp\": {\"size\": \"1024KiB\", \"files\": 1}"),
    OFPARENT("\"audit\": {\"level\": \"paths\"}, \"create\": [\"file\"], \"network\": {\"mode\": \"none\"}"),
    OFPARENT("\"env\": {\"pass\": [], \"set\": {\"A\": \"2\", \"PATH\": \"/opt\"}}"),
    /* and anything, with a reason */
    OFPARENT("\"tools\": \"*\", \"limits\": {\"pids\": 11}, \"network\": {\"mode\": \"loopback\"}, "
             "\"widen\": \"tests\","
             "\"filesystem\": [{\"path\": \"${workspace}/hidden/x\", \"access\": \"ro\"}]"),
};

static void child_that_widens_is_named(void **state)
{
    (void)state;
    put("parent.json", parent);
    check_errors(wider, ORCH_NELEM(wider));
}

static void child_that_narrows_is_taken(void **state)
{
    (void)state;
    put("parent.json", parent);
    for (size_t i = 0; i < ORCH_NELEM(narrower); i++)
        expect_ok(narrower[i]);
}

/* Level writes needs a parent without a rule `none`. */
static void child_that_watches_less_is_named(void **state)
{
    (void)state;
    put("parent.json", WIDE "\"audit\": {\"level\": \"opens\"}}");
    expect_error(OFPARENT("\"audit\": {\"level\": \"writes\"}"), "2:20",
                 "audit.level watches less: wider than the parent 'parent' (", 1);
}

/* Every widening of a document is named at once, each with both places. */
static void child_hears_of_every_key(void **state)
{
    (void)state;
    put("parent.json", parent);
    expect_error(OFPARENT("\"limits\": {\"pids\": 11,\n\"wall\": \"2m\"},\n\"tools\": [\"sh\", \"curl\"]"),
                 "3:9", "limits.wall: wider than the parent 'parent' (", 3);
}

/* What is decided at a parent's parent, too, and by a default. */
static void grandchild_is_measured_by_its_parent(void **state)
{
    (void)state;
    put("parent.json", parent);
    put("mid.json", OFPARENT("\"limits\": {\"pids\": 5}"));
    expect_error("{\"schema\": 1, \"name\": \"t\", \"extends\": \"./mid.json\",\n\"limits\": {\"pids\": 6}}",
                 "2:20", "mid.json:2:20)", 1);
    expect_ok("{\"schema\": 1, \"name\": \"t\", \"extends\": \"./mid.json\",\n\"limits\": {\"pids\": 5}}");
    put("bare.json", "{\"schema\": 1, \"name\": \"bare\"}");
    expect_error(
        "{\"schema\": 1, \"name\": \"t\", \"extends\": \"./bare.json\",\n\"tmp\": {\"files\": 65537}}",
        "2:18", "(by default)", 1);
}

static void profile_knows_where_its_keys_come_from(void **state)
{
    (void)state;
    ORCH_AUTO_FREE char *errors = NULL;
    put("parent.json", parent);
    struct orch_profile *p =
        load(OFPARENT("\"limits\": {\"pids\": 5}, \"env\": {\"set\": {\"B\": \"1\"}}"), &errors);
    assert_non_null(p);
    const struct orch_key_place *k = orch_profile_place(p, "limits.pids");
    assert_string_equal(k->pointer, "/limits/pids");
    assert_int_equal(k->line, 2);
    assert_non_null(strstr(k->file, "/t.json"));
    assert_non_null(strstr(orch_profile_place(p, "limits.memory")->file, "/parent.json"));
    assert_int_equal(orch_profile_place(p, "env.set/A")->line, 20);
    assert_int_equal(orch_profile_place(p, "env.set/B")->line, 2);
    assert_int_equal(orch_profile_place(p, "syscalls.allow/@agent-base")->line, 21);
    assert_non_null(orch_profile_place(p, p->sc_rules[0].origin));
    assert_null(orch_profile_place(p, "tmp"
                                      " "));
    orch_profile_free(p);
}

/* Not beneath /tmp, where a sandbox has a place of its own. */
static char host[] = "/var/tmp/orch-within-XXXXXX";

static void link_to(const char *name, const char *target)
{
    ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", host, name);
    assert_int_equal(symlink(target, path), 0);
}

static char *showing(const char *below)
{
    return orch_xasprintf(OFPARENT("\"filesystem\": [{\"path\": \"%s/%s\", \"access\": \"ro\"}]"), host,
                          below);
}

/* What is shown is where the link leads. */
static void child_may_not_widen_by_a_link(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(host));
    ORCH_AUTO_FREE char *data = orch_xasprintf("%s/data/sub", host);
    ORCH_AUTO_FREE char *secret = orch_xasprintf("%s/secret", host);
    assert_int_equal(orch_mkdir_p(data, 0755), 0);
    assert_int_equal(orch_mkdir_p(secret, 0755), 0);
    link_to("data/out", "../secret");
    link_to("data/in", "sub");
    ORCH_AUTO_FREE char *text =
        orch_xasprintf(WIDE "\"filesystem\": [{\"path\": \"%s/data\", \"access\": \"ro\"}]}", host);
    put("parent.json", text);
    ORCH_AUTO_FREE char *out = showing("data/out"), *in = showing("data/in"), *sub = showing("data/sub");
    bool named = refused(out, "2:16", "/data/out', a link to '", 1);
    ORCH_AUTO_FREE char *in_errors = NULL, *sub_errors = NULL;
    orch_profile_free(load(in, &in_errors));
    orch_profile_free(load(sub, &sub_errors));
    assert_int_equal(orch_rm_rf(AT_FDCWD, host), 0);
    assert_true(named);
    assert_string_equal(in_errors, "");
    assert_string_equal(sub_errors, "");
}

/* --- ceilings: two profiles that do not extend each other --- */

struct pair {
    const char *outer, *inner, *what;
};

static const struct pair beyond[] = {
    {DOC("\"limits\": {\"pids\": 5}"), EMPTY, "limits.pids: no limit: beyond the ceiling"},
    {FS("{\"path\": \"${workspace}/a\", \"access\": \"none\"}"), EMPTY,
     "no rule that refuses '${workspace}/a'"},
    {FS("{\"path\": \"${workspace}\", \"access\": \"rw\"}, {\"path\": \"${workspace}/a\", \"access\": "
        "\"none\"}"),
     FS("{\"path\": \"${workspace}\", \"access\": \"ro\"}"),
     "ro on '${workspace}', against '${workspace}/a'"},
    {FS("{\"path\": \"${workspace}\", \"access\": \"rw\"}, {\"path\": \"${workspace}/**/.git\", \"access\": "
        "\"ro\"}"),
     FS("{\"path\": \"${workspace}\", \"access\": \"rw\"}"),
     "rw on '${workspace}', against '${workspace}/**/.git'"},
    {FS("{\"path\": \"${workspace}\", \"access\": \"rw\"}, {\"path\": \"${workspace}/**/.git\", \"access\": "
        "\"none\"}"),
     FS("{\"path\": \"${workspace}\", \"access\": \"none\"}, {\"path\": \"${workspace}/**/x\", \"access\": "
        "\"ro\"}"),
     "ro on '${workspace}/**/x'"},
    {FS("{\"path\": \"${tmp}\", \"access\": \"none\"}"), EMPTY, "no rule that refuses '${tmp}'"},
    {EMPTY, FS("{\"path\": \"/usr\", \"access\": \"ro\"}"), "ro on '/usr'"},
    {DOC("\"tools\": [\"sh\"]"), DOC("\"tools\": [\"sh\", \"cat\"]"), "tools: 'cat'"},
    {RULE("\"syscalls\": [\"mkdir\"], \"action\": \"errno\""), EMPTY, "syscalls.allow: 'mkdir'"},
    {RULE("\"syscalls\": [\"mkdir\"], \"action\": \"kill_process\""),
     RULE("\"syscalls\": [\"mkdir\"], \"action\": \"errno\""), "'mkdir' is not killed for"},
    {DOC("\"syscalls\": {\"allow\": [\"read\"]}"), EMPTY, "syscalls.allow: 'write'"},
    {DOC("\"audit\": {\"level\": \"paths\"}"), EMPTY, "audit.level"},
    {FS("{\"path\": \"${workspace}\", \"access\": \"rw\"}], \"create\": [\"file\""),
     FS("{\"path\": \"${workspace}\", \"access\": \"rw\"}"), "create: 'directory'"},
};

static const struct pair below[] = {
    {EMPTY, EMPTY, NULL},
    {EMPTY, FS("{\"path\": \"${workspace}\", \"access\": \"ro\"}"), NULL},
    {FS("{\"path\": \"${workspace}\", \"access\": \"ro\"}"), EMPTY, NULL},
    {EMPTY,
     FS("{\"path\": \"${workspace}\", \"access\": \"none\"}, {\"path\": \"${tmp}\", \"access\": \"ro\"}"),
     NULL},
    {FS("{\"path\": \"/usr\", \"access\": \"rx\"}"), FS("{\"path\": \"/usr/lib\", \"access\": \"ro\"}"),
     NULL},
    {FS("{\"path\": \"${workspace}/**/.git\", \"access\": \"ro\"}"), EMPTY, NULL}, /* read-only anyway */
    {FS("{\"path\": \"${workspace}\", \"access\": \"rw\"}, {\"path\": \"${workspace}/**/.git\", \"access\": "
        "\"ro\"}"),
     FS("{\"path\": \"${workspace}/src\", \"access\": \"ro\"}"), NULL},
    {DOC("\"create\": [\"file\"]"), EMPTY, NULL}, /* which writes nothing */
    {EMPTY, DOC("\"limits\": {\"pids\": 5}, \"create\": [], \"audit\": {\"level\": \"paths\"}"), NULL},
    {RULE("\"syscalls\": [\"mkdir\"], \"action\": \"errno\""),
     RULE("\"syscalls\": [\"mkdir\"], \"action\": \"kill_process\""), NULL},
    {DOC("\"tools\": \"*\""), DOC("\"tools\": [\"x\"]"), NULL},
};

static char *compare(const struct pair *row)
{
    ORCH_AUTO_FREE char *errors = NULL, *again = NULL;
    struct orch_diags d = {0};
    struct orch_profile *outer = load(row->outer, &errors), *inner = load(row->inner, &again);
    assert_non_null(outer);
    assert_non_null(inner);
    orch_profile_within(outer, inner, ORCH_BOUND_CEILING, &d);
    char *said = render(&d);
    orch_diags_fini(&d);
    orch_profile_free(outer);
    orch_profile_free(inner);
    return said;
}

static void ceiling_holds_between_any_two_profiles(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(beyond); i++) {
        ORCH_AUTO_FREE char *said = compare(&beyond[i]);
        if (strstr(said, beyond[i].what) == NULL)
            fail_msg("%s\n%s\nexpected %s, got %s", beyond[i].outer, beyond[i].inner, beyond[i].what, said);
    }
    for (size_t i = 0; i < ORCH_NELEM(below); i++) {
        ORCH_AUTO_FREE char *said = compare(&below[i]);
        if (*said != '\0')
            fail_msg("%s\n%s\nexpected nothing, got %s", below[i].outer, below[i].inner, said);
    }
}

/* Each built-in is within itself and within those it narrows, and not within those it widens. */
static void builtins_are_ordered(void **state)
{
    (void)state;
    static const struct {
        const char *outer, *inner;
        bool within;
    } rows[] = {{"base", "base", true},      {"plan", "plan", true},       {"implement", "implement", true},
                {"implement", "plan", true}, {"implement", "gate", true},  {"gate", "verify", true},
                {"base", "plan", false},     {"plan", "implement", false}, {"implement", "base", true}};
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        struct orch_profile *outer = NULL, *inner = NULL;
        struct orch_diags d = {0};
        assert_int_equal(orch_profile_load(rows[i].outer, NULL, &outer, &d), 0);
        assert_int_equal(orch_profile_load(rows[i].inner, NULL, &inner, &d), 0);
        orch_profile_within(outer, inner, ORCH_BOUND_CEILING, &d);
        ORCH_AUTO_FREE char *said = render(&d);
        if ((d.n == 0) != rows[i].within)
            fail_msg("%s within %s: %s", rows[i].inner, rows[i].outer, said);
        orch_diags_fini(&d);
        orch_profile_free(outer);
        orch_profile_free(inner);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(child_that_widens_is_named),
        cmocka_unit_test(child_that_narrows_is_taken),
        cmocka_unit_test(child_that_watches_less_is_named),
        cmocka_unit_test(child_hears_of_every_key),
        cmocka_unit_test(grandchild_is_measured_by_its_parent),
        cmocka_unit_test(profile_knows_where_its_keys_come_from),
        cmocka_unit_test(child_may_not_widen_by_a_link),
        cmocka_unit_test(ceiling_holds_between_any_two_profiles),
        cmocka_unit_test(builtins_are_ordered),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
