/*
 * plan.h - a profile compiled for one sandbox: every path with its access, every program, the verified
 * filter, limits and environment. One object drives both enforcement (sandbox/ makes mounts and Landlock
 * rules of it) and judgement (orch_plan_decide answers notifications and the seal check), so the two cannot
 * disagree.
 *
 * A plan is immutable once compiled. Compiling reads the host's file tree and changes nothing.
 */
#ifndef ORCH_POLICY_PLAN_H
#define ORCH_POLICY_PLAN_H

#include <sys/types.h>
#include "policy/profile.h"
#include "policy/syscalls.h"
#include "policy/tools.h"

#define ORCH_HOME_PATH "/home/agent"
#define ORCH_TMP_PATH "/tmp"
#define ORCH_DIR_PATH "/orch"

enum orch_place_kind {
    ORCH_PLACE_HOST,      /* host path, bound at the same path */
    ORCH_PLACE_WORKSPACE, /* the overlay's root */
    ORCH_PLACE_WSRULE,    /* a rule beneath the workspace; may not exist */
    ORCH_PLACE_SCRATCH,   /* private tmpfs beneath the workspace */
    ORCH_PLACE_HOME,
    ORCH_PLACE_TMP,
    ORCH_PLACE_PROC,
    ORCH_PLACE_DEV,
    ORCH_PLACE_ORCH,
    ORCH_PLACE_ETC, /* a file of /etc that the sandbox writes itself: passwd, group, hosts, nsswitch.conf */
};

struct orch_place {
    enum orch_place_kind kind;
    char *path; /* inside the sandbox, normal form */
    enum orch_access access;
    bool directory; /* HOST: what it is on the host */
    bool quiet;
    bool own; /* HOST: what belongs to its owner belongs to the agent inside (id-mapped as root): a linked git
                 directory */
    char *rule; /* origin for records: "base#/filesystem/0", or "built-in" places: "sandbox#/tmp" */
};

struct orch_anywhere { /* a ${workspace}/<double star>/NAME rule */
    char *name;
    enum orch_access access; /* NONE or RO */
    bool quiet;
    char *rule;
};

struct orch_plan_args {
    const struct orch_profile *profile; /* borrowed; must outlive the plan */
    const char *workspace;              /* absolute, real path */
    const char *phase;                  /* for ${phase}; "exec" for exec, the gate's name for gates */
    const char *base_dir;               /* folder that a command[0] with a slash is relative to */
    const struct orch_strv *command;    /* not yet expanded */
    const char *inside; /* the program is the sandbox's own, at this path of the view: not looked for on the
                           host, and no tool; NULL = command[0] says */
    struct orch_closure_cache *closures; /* of earlier plans, added to; NULL: everything is found anew */
    const char *where_file,
        *where_pointer; /* the document and place that name the command, for diagnostics; may be NULL */
    const struct orch_env_pair *env; /* agent's own, added last */
    size_t n_env;
    const struct orch_strv *pass_env;        /* names added to the profile's */
    const char *prompt_text;                 /* for ${ORCH_PROMPT_TEXT}; NULL = empty */
    const char *run_id;                      /* ORCH_RUN; NULL = unset */
    unsigned attempt;                        /* ORCH_ATTEMPT */
    bool exec_view;                          /* gates: the workspace is executable */
    const struct orch_filter_cache *filters; /* compiled filters are kept there; NULL = nowhere */
    bool tty;                                /* it gets a terminal: TERM is set, if nothing else sets it */
    bool agent;                              /* an agent's (has /orch and ORCH_*), not a gate's */
    uid_t uid;                               /* the agent's user and group, inside and for the kernel */
    gid_t gid;
    const char *cell; /* tier nested: the directory that home, tmp and orch lie in, where nothing can be
                         mounted; NULL = tier full */
};

struct orch_plan {
    const struct orch_profile *profile;
    struct orch_profile *narrowed; /* tier nested: the profile is this one, made of the caller's */
    bool nested;
    char *workspace;
    char *home, *tmp, *dir;    /* where the agent finds its home, its /tmp and /orch */
    struct orch_place *places; /* sorted by path; unique */
    size_t n_places;
    struct orch_anywhere *anywhere;
    size_t n_anywhere;
    struct orch_closure closure;
    struct orch_strv
        links; /* symlinks to recreate in the view: of tools, of rules, /bin and the like; absolute */
    struct orch_syscalls syscalls;
    struct orch_filter filter;
    struct orch_strv argv; /* expanded; argv[0] as the author wrote it */
    char *program;         /* host path to execute */
    struct orch_strv env;  /* "NAME=VALUE" */
    struct orch_strv
        secrets; /* values that came by pass_env: never written, masked in output (length >= 4) */
    uid_t uid;
    gid_t gid;
    char *rule_create, *rule_network, *rule_tools; /* NULL in a plan made by hand */
    bool exec_view;
    bool workspace_writes; /* some rule gives w within the workspace */
    char digest[65];       /* of profile digest, closure, filter: stands in the attempt's record */
};

/* 0; -EINVAL + diagnostics (bad profile for this use, program not found: exit 2); other -errno + diagnostic.
 */
int orch_plan_compile(const struct orch_plan_args *a, struct orch_plan **ret, struct orch_diags *d);
void orch_plan_free(struct orch_plan *p);
void orch_plan_freep(struct orch_plan **p);

enum orch_request {                  /* what a call wants of a path */
                    ORCH_REQ_LOOK,   /* stat, access, readlink, chdir */
                    ORCH_REQ_READ,   /* open for reading, list */
                    ORCH_REQ_WRITE,  /* open for writing, truncate, chmod, chown, times, xattrs of an existing
                                        object */
                    ORCH_REQ_CREATE, /* a new name */
                    ORCH_REQ_DELETE, /* remove a name (also the source of a rename) */
                    ORCH_REQ_EXEC,
                    ORCH_REQ_CONNECT, /* a path socket */
};

enum orch_verdict {
    ORCH_PERMIT, /* the policy gives it; the kernel may still refuse for its own reasons */
    ORCH_HIDE,   /* a none rule: ENOENT, always a denial */
    ORCH_DENY,   /* visible, not permitted: EACCES, a denial */
    ORCH_ABSENT, /* not in the view: ENOENT; a denial only if the path exists on the host */
};

/* The rule of ORCH_ABSENT. Whether such a path exists on the host is for the record, not for the agent to be
 * told. */
#define ORCH_RULE_ABSENT "sandbox#/not-in-view"

/*
 * Where a key as a whole decides, its rule is the document that gives the key, and its pointer; "sandbox" in
 * place of a document where none does and it is a default. Of syscalls.allow it is "FILE#/syscalls".
 */
#define ORCH_POINTER_CREATE "/create"
#define ORCH_POINTER_NETWORK "/network"
#define ORCH_POINTER_TOOLS "/tools"
#define ORCH_POINTER_SYSCALLS "/syscalls"
const char *orch_plan_rule_create(const struct orch_plan *p);
const char *orch_plan_rule_network(const struct orch_plan *p);
const char *orch_plan_rule_tools(const struct orch_plan *p);
/* Does the rule (may be NULL) name this pointer, in whatever document? */
bool orch_rule_points_to(const char *rule, const char *pointer);

struct orch_decision {
    enum orch_verdict verdict;
    bool quiet;
    const char *rule; /* owned by the plan or static, never NULL */
};

/* path: absolute, normal form, as the sandbox sees it (symlinks already resolved). */
void orch_plan_decide(const struct orch_plan *p, const char *path, enum orch_request what,
                      struct orch_decision *ret);
/*
 * The same for connecting to an AF_INET or AF_INET6 address. Returns the errno that the caller gets: 0 =
 * permitted, otherwise what the empty namespace gives.
 */
struct sockaddr_storage;
int orch_plan_decide_inet(const struct orch_plan *p, const struct sockaddr_storage *a,
                          struct orch_decision *ret);
/* And for binding to it. Wildcards and groups are nobody's address: binding to them is never refused. */
int orch_plan_decide_bind(const struct orch_plan *p, const struct sockaddr_storage *a,
                          struct orch_decision *ret);
/* 127.0.0.0/8, ::1, the same as v4-mapped, and the wildcards, which mean the same to connect(). */
bool orch_inet_is_loopback(const struct sockaddr_storage *a);
unsigned orch_inet_port(const struct sockaddr_storage *a);
/* "192.0.2.1:80", "[::1]:80"; ret of 64 bytes is enough. */
void orch_inet_text(const struct sockaddr_storage *a, char *ret, size_t size);
/* The place that covers path (longest prefix), or NULL. */
const struct orch_place *orch_plan_place(const struct orch_plan *p, const char *path);
/* A rule strictly beneath path takes write away (so path must not be renamed): that place, or NULL. */
const struct orch_place *orch_plan_narrower_beneath(const struct orch_plan *p, const char *path);
/* May something of this kind be made there ('f', 'd', 'l'; any other kind may not)? The seal check lets only
 * certain kinds through in the workspace. */
bool orch_plan_may_be(const struct orch_plan *p, const char *path, char kind);
/* True if the path is a directory that exists only because something visible lies beneath it. */
bool orch_plan_is_scaffold(const struct orch_plan *p, const char *path);
/* True if nothing the agent does changes what is at this path; what others do on the host may. */
bool orch_plan_is_fixed(const struct orch_plan *p, const char *path);
const char *orch_request_name(enum orch_request r); /* "read" "write" ... */

#endif
