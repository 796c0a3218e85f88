/* test_profile.c - profile documents: strict reading, composition, narrowing, the built-ins. */
#include "tests/unit/policy/profile_check.h"

/* --- strictness --- */

static const struct row strict_rows[] = {
    {"[]", "1:1", "expected an object", 1},
    {"{\"name\": \"t\"}", "1:1", "missing key 'schema'", 1},
    {"{\"schema\": 2, \"nonsense\": 1}", "1:12", "newer than this version", 1},
    {"{\"schema\": 0, \"name\": \"t\"}", "1:12", "unknown schema", 1},
    {"{\"schema\": \"1\", \"name\": \"t\"}", "1:12", "unknown schema", 1},
    {"{\"schema\": 1}", "1:1", "missing key 'name'", 1},
    {"{\"schema\": 1, \"name\": \"a b\"}", "1:23", "not a name", 1},
    {DOC("\"tolls\": []"), "2:1", "'tools'", 1},
    {DOC("\"filesytem\": []"), "2:1", "'filesystem'", 1},
    {DOC("\"tools\": [], \"tools\": []"), "2:", "", 1},
    {DOC("\"tools\": \"sh\""), "2:10", "expected a list of tools", 1},
    {DOC("\"tools\": [\"a/b\"]"), "2:11", "not the name of a tool", 1},
    {DOC("\"tools\": [\"sh\", {\"name\": \"sh\"}]"), "2:17", "already given at line 2, column 11", 1},
    {DOC("\"tools\": [\"sh*\"]"), "2:11", "names are literal", 1},
    {DOC("\"tools\": [\"@group\"]"), "2:11", "only \"@parent\"", 1},
    {DOC("\"tools\": [{\"name\": \"x\", \"path\": \"bin/x\"}]"), "2:33", "not an absolute path", 1},
    {DOC("\"tools\": [{\"name\": \"x\", \"with\": [\"/a/../b\"]}]"), "2:", "normal form", 1},
    {DOC("\"tools\": [{\"name\": \"x\", \"pth\": \"/x\"}]"), "2:", "'path'", 1},
    {DOC("\"requires\": \"ful\""), "2:13", "did you mean 'full'", 1},
    {DOC("\"limits\": {\"memory\": 512}"), "2:22", "a size such as", 1},
    {DOC("\"limits\": {\"memory\": \"0B\"}"), "2:22", "'0B' is out of range", 1},
    {DOC("\"limits\": {\"memory\": \"18446744073709551616B\"}"), "2:22", "out of range", 1},
    {DOC("\"limits\": {\"wall\": \"20\"}"), "2:20", "'20' is not a time", 1},
    {DOC("\"limits\": {\"wall\": \"20MiB\"}"), "2:20", "not a time", 1},
    {DOC("\"limits\": {\"pids\": 0}"), "2:20", "out of range", 1},
    {DOC("\"limits\": {\"pids\": -1}"), "2:20", "out of range", 1},
    {DOC("\"limits\": {\"pids\": 1.5}"), "2:20", "out of range", 1},
    {DOC("\"limits\": {\"pids\": \"1\"}"), "2:20", "expected a number", 1},
    {DOC("\"limits\": {\"pid\": 1}"), "2:", "'pids'", 1},
    {DOC("\"limits\": {\"scope\": \"proces\"}"), "2:21", "'process'", 1},
    {DOC("\"tmp\": {\"size\": \"1B\"}"), "2:", "out of range", 1},
    {DOC("\"network\": {\"mode\": \"allow\"}"), "2:21", "not in this version", 1},
    {DOC("\"network\": {\"mode\": \"host\"}"), "2:21", "not in this version", 1},
    {DOC("\"network\": {\"mode\": \"hosst\"}"), "2:21", "did you mean 'host'", 1},
    {DOC("\"network\": {\"mode\": \"none\", \"allow\": []}"), "2:", "not in this version", 1},
    {DOC("\"network\": {}"), "2:12", "missing key 'mode'", 1},
    {DOC("\"ceiling\": {}"), "2:12", "not in this version", 1},
    {DOC("\"create\": [\"fifo\"]"), "2:12", "unknown value 'fifo'", 1},
    {DOC("\"env\": {\"pass\": [\"LD_PRELOAD\"]}"), "2:18", "program loader", 1},
    {DOC("\"env\": {\"pass\": [\"ORCHESTRATOR_MODE\"]}"), "2:18", "sets it itself", 1},
    {DOC("\"env\": {\"pass\": [\"1A\"]}"), "2:18", "not the name", 1},
    {DOC("\"env\": {\"set\": {\"ORCH_RUN\": \"x\"}}"), "2:", "sets it itself", 1},
    {DOC("\"env\": {\"set\": {\"A\": 1}}"), "2:", "expected a string", 1},
    {DOC("\"env\": {\"set\": {\"A\": \"${hom}/x\"}}"), "2:", "unknown variable", 1},
    {DOC("\"audit\": {\"level\": \"writes\"},\n\"filesystem\": [{\"path\": \"/a\", \"access\": \"none\"}]"),
     "2:20", "could not be recorded", 1},
    {DOC("\"widen\": \"x\""), "2:10", "no meaning", 1},
    {DOC("\"tools\": [\"@parent\"]"), "1:1", "no 'extends'", 1},
    {DOC("\"extends\": \"bas\""), "2:12", "did you mean 'base'", 1},
    {DOC("\"extends\": \"/abs.json\""), "2:12", "starting with './'", 1},
    {CHILD("\"widen\": \"  \""), "2:10", "needs a reason", 1},
    {DOC("\"reason\": 1"), "2:11", "expected a string", 1},
    {DOC("\"tolls\": [],\n\"limits\": {\"pids\": 0, \"wal\": \"1s\"},\n\"network\": {\"mode\": \"x\"}"),
     "3:", "'wall'", 4},
};

static void profile_refuses_with_place_and_near_name(void **state)
{
    (void)state;
    check_errors(strict_rows, ORCH_NELEM(strict_rows));
}

static const struct row fs_rows[] = {
    {FS("{\"path\": \"~/x\", \"access\": \"ro\"}"), "2:25", "${home}", 1},
    {FS("{\"path\": \"x\", \"access\": \"ro\"}"), "2:25", "not absolute", 1},
    {FS("{\"path\": \"\", \"access\": \"ro\"}"), "2:25", "not absolute", 1},
    {FS("{\"path\": \"/a/../b\", \"access\": \"ro\"}"), "2:25", "normal form", 1},
    {FS("{\"path\": \"/a//b\", \"access\": \"ro\"}"), "2:25", "normal form", 1},
    {FS("{\"path\": \"/a/\", \"access\": \"ro\"}"), "2:25", "normal form", 1},
    {FS("{\"path\": \"${workspace}/\", \"access\": \"ro\"}"), "2:25", "normal form", 1},
    {FS("{\"path\": \"${workspace}/./a\", \"access\": \"ro\"}"), "2:25", "normal form", 1},
    {FS("{\"path\": \"${workspac}/a\", \"access\": \"ro\"}"), "2:25", "unknown variable", 1},
    {FS("{\"path\": \"${workspace}x\", \"access\": \"ro\"}"), "2:25", "variable", 1},
    {FS("{\"path\": \"/a/${home}\", \"access\": \"ro\"}"), "2:25", "variable", 1},
    {FS("{\"path\": \"/a/*.c\", \"access\": \"ro\"}"), "2:25", "literal", 1},
    {FS("{\"path\": \"/**/.git\", \"access\": \"ro\"}"), "2:25", "literal", 1},
    {FS("{\"path\": \"${workspace}/**/a/b\", \"access\": \"ro\"}"), "2:25", "one path component", 1},
    {FS("{\"path\": \"${workspace}/**/*.c\", \"access\": \"ro\"}"), "2:25", "literal", 1},
    {FS("{\"path\": \"${workspace}/**/..\", \"access\": \"ro\"}"), "2:25", "one path component", 1},
    {FS("{\"path\": \"${workspace}/**/.git\", \"access\": \"rw\"}"), "2:", "only be none or ro", 1},
    {FS("{\"path\": \"/a\", \"access\": \"ro\"}, {\"path\": \"/a\", \"access\": \"rx\"}"), "2:48",
     "already has a rule at line 2, column 16", 1},
    {FS("{\"path\": \"/tmp/a\", \"access\": \"ro\"}, {\"path\": \"${tmp}/a\", \"access\": \"ro\"}"),
     "2:", "already has", 1},
    {FS("{\"path\": \"/a\", \"access\": \"rwx\", \"scratch\": true}"), "2:", "beneath ${workspace}", 1},
    {FS("{\"path\": \"${workspace}\", \"access\": \"rw\", \"scratch\": true}"), "2:", "beneath ${workspace}",
     1},
    {FS("{\"path\": \"${workspace}/b\", \"access\": \"ro\", \"scratch\": true}"), "2:", "rw and rwx", 1},
    {FS("{\"path\": \"/a\"}"), "2:16", "missing key 'access'", 1},
    {FS("{\"path\": \"/a\", \"access\": \"wr\"}"), "2:", "unknown value 'wr'", 1},
    {FS("{\"path\": \"/a\", \"access\": \"ro\", \"requierd\": false}"), "2:", "'required'", 1},
    {FS("{\"path\": \"/a\", \"access\": \"ro\", \"required\": \"no\"}"), "2:", "true or false", 1},
    {FS("\"/a\""), "2:16", "", 1},
};

static void profile_refuses_paths(void **state)
{
    (void)state;
    check_errors(fs_rows, ORCH_NELEM(fs_rows));
}

/* --- what is read --- */

static void profile_reads_the_design_example(void **state)
{
    (void)state;
    ORCH_AUTO_FREE char *errors = NULL;
    struct orch_profile *p = load(
        "{\"schema\": 1, \"$schema\": \"x\", \"name\": \"implement\", \"extends\": \"base\", \"widen\": "
        "\"builds\",\n"
        "\"requires\": \"full\",\n"
        "\"tools\": [\"sh\", \"git\", {\"name\": \"python3\", \"path\": \"/usr/bin/python3\", \"with\": "
        "[\"/opt/x\"]}],\n"
        "\"filesystem\": [{\"path\": \"${workspace}\", \"access\": \"rw\"},\n"
        "{\"path\": \"${workspace}/build\", \"access\": \"rwx\", \"scratch\": true},\n"
        "{\"path\": \"${workspace}/**/.git\", \"access\": \"ro\"},\n"
        "{\"path\": \"${workspace}/.env\", \"access\": \"none\", \"reason\": \"secrets\"}],\n"
        "\"tmp\": {\"size\": \"512MiB\", \"files\": 100000},\n"
        "\"syscalls\": {\"default\": \"EPERM\", \"allow\": [\"@agent-base\", \"@network-client\"],\n"
        "\"rules\": [{\"syscalls\": [\"ioctl\"], \"action\": \"errno\", \"errno\": \"EPERM\",\n"
        "\"args\": [{\"index\": 1, \"op\": \"eq\", \"value\": \"TIOCSTI\"}], \"reason\": "
        "\"CVE-2017-5226\"}]},\n"
        "\"network\": {\"mode\": \"none\"},\n"
        "\"limits\": {\"memory\": \"2GiB\", \"pids\": 256, \"cpu\": \"10m\", \"wall\": \"20m\", "
        "\"file_size\": \"256MiB\",\n"
        "\"open_files\": 1024, \"workspace\": \"1GiB\", \"output\": \"16MiB\", \"scope\": \"process\"},\n"
        "\"env\": {\"pass\": [\"LANG\"], \"set\": {\"HOME\": \"${home}\"}}, \"audit\": {\"level\": "
        "\"opens\"}}",
        &errors);
    if (p == NULL)
        fail_msg("%s", errors);
    assert_string_equal(p->name, "implement");
    assert_int_equal(p->n_tools, 3);
    assert_false(p->tools[2].optional);
    assert_string_equal(p->tools[2].with.v[0], "/opt/x");
    assert_int_equal(p->tmp_size, 512ull << 20);
    assert_int_equal(p->limits.memory, 2ull << 30);
    assert_int_equal(p->limits.cpu_ms, 600000);
    assert_true(p->limits.scope_process);
    assert_int_equal(p->n_sc_rules, 1);
    const struct orch_arg_cond *a = &p->sc_rules[0].args[0];
    assert_int_equal(a->op, ORCH_OP_MASKED_EQ);
    assert_int_equal(a->mask, UINT32_MAX);
    assert_int_equal(a->value, 0x5412);
    assert_int_equal(p->sc_rules[0].errnum, EPERM);
    const struct orch_fs_rule *git = NULL;
    for (size_t i = 0; i < p->n_fs; i++)
        if (p->fs[i].anywhere)
            git = &p->fs[i];
    assert_non_null(git);
    assert_string_equal(git->path, ".git");
    assert_non_null(strstr(git->origin, "/t.json#/filesystem/2"));
    assert_int_equal(p->n_env_set, 1);
    orch_profile_free(p);
}

static void profile_has_defaults(void **state)
{
    (void)state;
    ORCH_AUTO_FREE char *errors = NULL;
    struct orch_profile *p = load(DOC("\"filesystem\": [{\"path\": \"/usr\", \"access\": \"rx\"}]"), &errors);
    assert_non_null(p);
    assert_int_equal(p->requires, ORCH_TIER_FULL);
    assert_int_equal(p->tmp_size, 256ull << 20);
    assert_int_equal(p->tmp_files, 65536);
    assert_int_equal(p->sc_default_errno, EPERM);
    assert_int_equal(p->network, ORCH_NET_NONE);
    assert_int_equal(p->audit_level, ORCH_AUDIT_OPENS);
    assert_int_equal(p->create, 7);
    assert_true(p->fs[0].required);
    assert_int_equal(p->limits.memory, 0);
    assert_true(orch_strv_has(&p->sc_allow, "@agent-base"));
    orch_profile_free(p);
}

/* --- composition --- */

static void profile_composes(void **state)
{
    (void)state;
    ORCH_AUTO_FREE char *errors = NULL;
    struct orch_profile *p =
        load(OFIMPLEMENT("\"widen\": \"test\",\n"
                         "\"tools\": [\"@parent\", {\"name\": \"git\", \"path\": \"/opt/git\"}, \"zz\"],\n"
                         "\"filesystem\": [{\"path\": \"${workspace}\", \"access\": \"rwx\"}],\n"
                         "\"create\": [\"file\"], \"env\": {\"set\": {\"HOME\": \"/x\", \"A\": \"b\"}},\n"
                         "\"limits\": {\"pids\": 9}"),
             &errors);
    if (p == NULL)
        fail_msg("%s", errors);
    unsigned gits = 0, roots = 0;
    for (size_t i = 0; i < p->n_tools; i++)
        if (strcmp(p->tools[i].name, "git") == 0) {
            gits++;
            assert_string_equal(p->tools[i].path, "/opt/git");
            assert_false(p->tools[i].optional);
        }
    for (size_t i = 0; i < p->n_fs; i++)
        if (strcmp(p->fs[i].path, "${workspace}") == 0) {
            roots++;
            assert_int_equal(p->fs[i].access, ORCH_ACCESS_RWX);
        }
    assert_int_equal(gits, 1);
    assert_int_equal(roots, 1);
    assert_int_equal(p->create, ORCH_CREATE_FILE);
    assert_int_equal(p->n_env_set, 6); /* HOME, its own, and implement's four for git */
    assert_string_equal(p->env_set[0].value, "/x");
    assert_int_equal(p->limits.pids, 9);
    assert_int_equal(p->limits.memory, 4ull << 30);
    assert_int_equal(p->sources.n, 4);
    orch_profile_free(p);
}

static const struct row widen_rows[] = {
    {CHILD("\"tools\": [\"@parent\", \"git\"]"), "2:22", "tools: 'git'", 1},
    {CHILD("\"tools\": \"*\""), "2:10", "tools: \"*\"", 1},
    {CHILD("\"tools\": [{\"name\": \"sh\", \"path\": \"/opt/sh\"}]"), "2:11", "another path", 1},
    {CHILD("\"tools\": [{\"name\": \"sh\", \"with\": [\"/opt\"]}]"), "2:11", "more files", 1},
    {CHILD("\"filesystem\": [{\"path\": \"${workspace}\", \"access\": \"rw\"}]"), "2:16", "filesystem: rw",
     1},
    {CHILD("\"filesystem\": [{\"path\": \"${workspace}\", \"access\": \"rx\"}]"), "2:16", "filesystem: rx",
     1},
    {CHILD("\"filesystem\": [{\"path\": \"${workspace}/b\", \"access\": \"rw\", \"scratch\": true}]"), "2:16",
     "filesystem", 1},
    {CHILD("\"filesystem\": [{\"path\": \"/opt\", \"access\": \"ro\"}]"), "2:16", "filesystem: ro on '/opt'",
     1},
    {CHILD("\"filesystem\": [{\"path\": \"/\", \"access\": \"ro\"}]"), "2:16", "filesystem: ro on '/'", 1},
    {CHILD("\"filesystem\": [{\"path\": \"/usrx\", \"access\": \"ro\"}]"), "2:16", "filesystem", 1},
    {CHILD("\"filesystem\": [{\"path\": \"${tmp}\", \"access\": \"rwx\"}]"), "2:16", "filesystem", 1},
    {OFIMPLEMENT("\"filesystem\": [{\"path\": \"${workspace}/.git\", \"access\": \"rw\"}]"), "2:16",
     "filesystem", 0},
    {OFIMPLEMENT("\"filesystem\": [{\"path\": \"${workspace}/a/.git/hooks\", \"access\": \"rw\"}]"), "2:16",
     "filesystem", 1},
    {CHILD("\"limits\": {\"memory\": \"5GiB\"}"), "2:22", "limits.memory", 1},
    {CHILD("\"limits\": {\"pids\": 513}"), "2:20", "limits.pids", 1},
    {CHILD("\"tmp\": {\"size\": \"1GiB\", \"files\": 65537}"), "2:17", "tmp.size", 2},
    {CHILD("\"network\": {\"mode\": \"loopback\"}"), "2:21", "network.mode", 1},
    {CHILD("\"requires\": \"nested\""), "2:13", "requires", 1},
    {CHILD("\"env\": {\"pass\": [\"LANG\", \"HTTP_PROXY\"]}"), "2:26", "env.pass: 'HTTP_PROXY'", 1},
    {CHILD("\"audit\": {\"level\": \"writes\"}"), "2:20", "audit.level watches less", 0},
    {"{\"schema\": 1, \"name\": \"t\", \"extends\": \"plan\", \"create\": [\"@parent\", \"symlink\"]}",
     "1:", "create", 1},
};

static void profile_child_may_only_narrow(void **state)
{
    (void)state;
    check_errors(widen_rows, ORCH_NELEM(widen_rows));
}

static const char *const narrow_rows[] = {
    CHILD("\"tools\": [\"sh\", \"cat\"]"),
    CHILD("\"filesystem\": [{\"path\": \"${workspace}/.env\", \"access\": \"none\"}, {\"path\": "
          "\"/usr/share\", \"access\": \"ro\"}]"),
    CHILD("\"filesystem\": [{\"path\": \"${workspace}\", \"access\": \"ro\"}, {\"path\": "
          "\"${workspace}/**/x\", \"access\": \"ro\"}]"),
    CHILD("\"filesystem\": [{\"path\": \"${tmp}/x\", \"access\": \"rw\"}, {\"path\": \"${home}/x\", "
          "\"access\": \"none\"}]"),
    OFIMPLEMENT(
        "\"filesystem\": [{\"path\": \"${workspace}/build\", \"access\": \"rw\", \"scratch\": true}]"),
    OFIMPLEMENT("\"filesystem\": [{\"path\": \"${workspace}/**/.git\", \"access\": \"none\"}]"),
    CHILD("\"syscalls\": {\"allow\": [\"@agent-base\"]}"),
    CHILD("\"syscalls\": {\"rules\": [{\"syscalls\": [\"mkdir\"], \"action\": \"kill_process\"}]}"),
    CHILD("\"syscalls\": {\"default\": \"ENOSYS\"}"),
    CHILD("\"syscalls\": {\"rules\": [{\"syscalls\": [\"ioctl\"], \"action\": \"allow\", \"args\": "
          "[{\"index\": 1, \"op\": \"eq\", \"value\": 77}]}]}"), /* permitted by the parent, too */
    CHILD("\"limits\": {\"memory\": \"1GiB\", \"scope\": \"tree\"}"),
    CHILD("\"env\": {\"pass\": [\"LANG\"], \"set\": {\"X\": \"1\"}}, \"create\": [\"file\"], \"audit\": "
          "{\"level\": \"paths\"}"),
    CHILD("\"network\": {\"mode\": \"loopback\"}, \"limits\": {\"pids\": 4000}, \"widen\": \"needs a local "
          "server\""),
};

static void profile_child_may_narrow(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(narrow_rows); i++)
        expect_ok(narrow_rows[i]);
}

/* Rules of a parent that a child must not lift by a rule of its own. */
static void profile_child_keeps_parents_rules(void **state)
{
    (void)state;
    put("hide.json", "{\"schema\": 1, \"name\": \"hide\", \"limits\": {\"scope\": \"tree\"},\n"
                     "\"filesystem\": [{\"path\": \"${workspace}\", \"access\": \"rw\"},\n"
                     "{\"path\": \"${workspace}/secret\", \"access\": \"none\"},\n"
                     "{\"path\": \"${workspace}/out\", \"access\": \"rw\", \"scratch\": true}],\n"
                     "\"syscalls\": {\"rules\": [{\"syscalls\": [\"mkdir\"], \"action\": \"errno\"}]}}");
#define OFHIDE(rest) "{\"schema\": 1, \"name\": \"t\", \"extends\": \"./hide.json\",\n" rest "}"
    static const struct row rows[] = {
        {OFHIDE("\"filesystem\": [{\"path\": \"${workspace}/secret/x\", \"access\": \"ro\"}]"), "2:16",
         "filesystem", 1},
        {OFHIDE("\"filesystem\": [{\"path\": \"${workspace}/**/x\", \"access\": \"ro\"}]"), "2:16",
         "where it is hidden", 1},
        {OFHIDE("\"filesystem\": [{\"path\": \"${workspace}/out\", \"access\": \"rw\"}]"), "2:16",
         "is kept, scratch there", 1},
        {OFHIDE("\"syscalls\": {\"rules\": [{\"syscalls\": [\"mkdir\"], \"action\": \"allow\"}]}"),
         "2:", "allows 'mkdir'", 1},
        {OFHIDE("\"limits\": {\"scope\": \"process\"}"), "2:", "limits.scope", 1},
    };
    check_errors(rows, ORCH_NELEM(rows));
    expect_ok(OFHIDE("\"limits\": {\"memory\": \"1TiB\", \"pids\": 100000}"));
}

/* --- chains --- */

static void profile_shows_cycles_and_depth(void **state)
{
    (void)state;
    put("a.json", "{\"schema\": 1, \"name\": \"a\", \"extends\": \"./b.json\"}");
    put("b.json", "{\"schema\": 1, \"name\": \"b\", \"extends\": \"./x/../t.json\"}");
    expect_error("{\"schema\": 1, \"name\": \"t\", \"extends\": \"./a.json\"}", "1:", "in a circle", 1);
    expect_error("{\"schema\": 1, \"name\": \"t\", \"extends\": \"./t.json\"}", "1:", "in a circle", 1);
    for (int i = 0; i < 9; i++) {
        ORCH_AUTO_FREE char *name = orch_xasprintf("d%d.json", i);
        ORCH_AUTO_FREE char *text =
            orch_xasprintf("{\"schema\": 1, \"name\": \"d\", \"extends\": \"./d%d.json\"}", i + 1);
        put(name, text);
    }
    expect_error("{\"schema\": 1, \"name\": \"t\", \"extends\": \"./d0.json\"}", "1:", "deeper than 8", 1);
    expect_error("{\"schema\": 1, \"name\": \"t\", \"extends\": \"./none.json\"}", "", "", 1);
    put("bad.json", "{\"schema\": 1, \"name\": \"bad\", \"tolls\": 1}");
    expect_error("{\"schema\": 1, \"name\": \"t\", \"extends\": \"./bad.json\", \"limts\": {}}",
                 "1:", "'limits'", 2);
}

static void profile_unknown_builtin_has_near_name(void **state)
{
    (void)state;
    struct orch_profile *p = NULL;
    struct orch_diags d = {0};
    assert_int_equal(orch_profile_load("implment", NULL, &p, &d), -EINVAL);
    assert_int_equal(d.n, 1);
    assert_non_null(strstr(d.v[0].msg, "'implement'"));
    orch_diags_fini(&d);
}

static void expect_same(const struct orch_profile *a, const struct orch_profile *b)
{
    assert_string_equal(a->digest, b->digest);
    assert_string_equal(a->file, b->file);
    assert_int_equal(a->n_fs, b->n_fs);
    assert_int_equal(a->n_tools, b->n_tools);
    for (size_t i = 0; i < a->n_fs; i++)
        assert_string_equal(a->fs[i].origin, b->fs[i].origin);
    for (size_t i = 0; i < a->n_tools; i++) {
        assert_string_equal(a->tools[i].origin, b->tools[i].origin);
        assert_int_equal(a->tools[i].optional, b->tools[i].optional);
    }
}

static void profile_builtins_load_and_survive_sources(void **state)
{
    (void)state;
    for (size_t i = 0; orch_builtin_names[i] != NULL; i++) {
        struct orch_profile *p = NULL, *q = NULL;
        struct orch_diags d = {0};
        size_t len = 0;
        const char *text = orch_builtin_text(orch_builtin_names[i], &len);
        assert_int_equal(strlen(text), len);
        if (orch_profile_load(orch_builtin_names[i], NULL, &p, &d) < 0)
            fail_msg("%s", d.v[0].msg);
        assert_string_equal(p->name, orch_builtin_names[i]);
        assert_true(p->tools[0].optional);
        assert_int_equal(orch_profile_from_sources(&p->sources, p->name, &q, &d), 0);
        expect_same(p, q);
        struct orch_syscalls *s = orch_xcalloc(1, sizeof(*s));
        assert_int_equal(orch_syscalls_compile(p, s, &d), 0);
        free(s);
        orch_profile_free(p);
        orch_profile_free(q);
    }
    assert_null(orch_builtin_text("none", NULL));
}

static void profile_sources_must_fit(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "no newline",
        "\n{}",
        "./t.json\n{\"schema\": 1, \"name\": \"t\", \"extends\": \"base\"}",
        "./t.json\n{",
        NULL,
    };
    for (size_t i = 0; bad[i] != NULL; i++) {
        struct orch_strv sv = {0};
        struct orch_profile *p = NULL;
        struct orch_diags d = {0};
        orch_strv_add(&sv, bad[i]);
        assert_int_equal(orch_profile_from_sources(&sv, "t", &p, &d), -EINVAL);
        assert_true(d.n > 0);
        orch_strv_fini(&sv);
        orch_diags_fini(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profile_refuses_with_place_and_near_name),
        cmocka_unit_test(profile_refuses_paths),
        cmocka_unit_test(profile_reads_the_design_example),
        cmocka_unit_test(profile_has_defaults),
        cmocka_unit_test(profile_composes),
        cmocka_unit_test(profile_child_may_only_narrow),
        cmocka_unit_test(profile_child_may_narrow),
        cmocka_unit_test(profile_child_keeps_parents_rules),
        cmocka_unit_test(profile_shows_cycles_and_depth),
        cmocka_unit_test(profile_unknown_builtin_has_near_name),
        cmocka_unit_test(profile_builtins_load_and_survive_sources),
        cmocka_unit_test(profile_sources_must_fit),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
