/*
 * assertions.h - the test document of a profile: acts and what must come of them.
 *
 *   {"schema": 1, "profile": "./x.json", "workspace": ["src/main.c", ".git/hooks/"],
 *    "assert": [{"read": "~/.ssh/id_rsa", "expect": "denied"},
 *               {"syscall": "socket", "args": ["AF_INET", "SOCK_STREAM", 0], "expect": "allowed"}]}
 *
 * Strict like every document. "workspace" lists what the fresh workspace of the test holds: files, and
 * directories where the name ends with '/'.
 */
#ifndef ORCH_POLICY_ASSERTIONS_H
#define ORCH_POLICY_ASSERTIONS_H

#include "policy/explain.h"

#define ORCH_ASSERT_MAX 4096

enum orch_expect {
    ORCH_EXPECT_ALLOWED,
    ORCH_EXPECT_DENIED, /* whatever the errno, or the end of the process */
    ORCH_EXPECT_KILLED,
    ORCH_EXPECT_FAKED,
    ORCH_EXPECT_ERRNO, /* refused with this errno */
};

struct orch_assertion {
    bool is_call;
    enum orch_act act;
    char *target; /* path, name, address; as written. Of a call its name */
    int nr;
    uint64_t args[6];
    unsigned n_args;
    enum orch_expect expect;
    int errnum;
    char *expect_text; /* as written */
    bool if_present;   /* skipped where the host does not have it */
    unsigned line;
};

struct orch_assertions {
    char *file, *dir; /* as given; its folder, for the profile's name */
    char *profile;    /* NULL: to be given by --profile */
    char *digest;     /* SHA-256 of the text */
    struct orch_strv workspace;
    struct orch_assertion *v;
    size_t n;
};

/* True if the document has the key that only a test document has. */
bool orch_assertions_is(const struct orch_json *doc);
/* 0, or -EINVAL with diagnostics. doc is only read. */
int orch_assertions_read(const struct orch_json *doc, struct orch_assertions **ret, struct orch_diags *d);
int orch_assertions_load(const char *file, struct orch_assertions **ret, struct orch_diags *d);
void orch_assertions_free(struct orch_assertions *a);
void orch_assertions_freep(struct orch_assertions **a);

/* ${workspace} ${home} ${tmp} and a leading "~" (home: the operator's) expanded; newly allocated. */
char *orch_act_expand(const char *target, const char *workspace, const char *home);
/* "read ~/.ssh/id_rsa", "socket(AF_INET, 1, 0)": one line, not escaped. Newly allocated. */
char *orch_assertion_text(const struct orch_assertion *a);
/* The model's answer about target, already expanded; a call's missing arguments count as 0. */
void orch_assertion_model(const struct orch_plan *p, const struct orch_assertion *a, const char *target,
                          struct orch_explained *ret);
/* Is this answer what the assertion expects? */
bool orch_expect_holds(const struct orch_assertion *a, enum orch_says says, int errnum);

#endif
