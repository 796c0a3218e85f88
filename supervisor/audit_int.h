/*
 * audit_int.h - what the parts of the audit log share: a map of byte keys, and the groups of denials.
 *
 * Keys come from the agent (paths), so the hash is seeded per map: nobody inside can aim at one slot and make
 * the supervisor's event loop slow.
 */
#ifndef ORCH_SUPERVISOR_AUDIT_INT_H
#define ORCH_SUPERVISOR_AUDIT_INT_H

#include "policy/args.h"
#include "sandbox/task.h"
#include "supervisor/audit.h"

#define ORCH_AUDIT_CLASSES (ORCH_CLASS_CONTROL + 1)
#define ORCH_AUDIT_MAX_GROUPS 8192 /* of a run, twice; what exceeds them is grouped by class alone */

struct orch_audit_map_key {
    uint64_t hash;
    size_t len;
    char *data;
};

/* From byte strings to indices 0, 1, 2 ... in order of arrival. Keys are copied and stay where they are. */
struct orch_audit_map {
    uint64_t seed[2];
    struct orch_audit_map_key *keys;
    size_t n, cap;
    uint32_t *slots; /* index + 1, 0 = free; n_slots is a power of two */
    size_t n_slots;
    size_t bytes; /* of all keys */
};

#define ORCH_MAP_NONE SIZE_MAX

uint64_t orch_audit_map_hash(const struct orch_audit_map *m, const void *key, size_t len);
size_t orch_audit_map_find(const struct orch_audit_map *m, const void *key, size_t len, uint64_t hash);
/* The same with the index found last (*at, any value at first) tried before all others, and kept there: most
 * records in a row are alike. ret_hash is set only where it is looked for. */
size_t orch_audit_map_again(const struct orch_audit_map *m, const struct orch_buf *key, size_t *at,
                            uint64_t *ret_hash);
size_t orch_audit_map_add(struct orch_audit_map *m, const void *key, size_t len,
                          uint64_t hash); /* must not be there yet */
void orch_audit_map_fini(
    struct orch_audit_map *m); /* frees; idempotent; the map is empty and usable (seeded anew when used) */

/* Strings in keys: NULL is told apart from "". The reader moves *pp behind the string and returns it (in
 * place) or NULL. */
void orch_key_str(struct orch_buf *key, const char *s);
const char *orch_key_next(const char **pp);

/*
 * Keys of folds (audit_key.c): all that a record says but time, pid and tid. Who did it (exe, comm, parents)
 * is a key of its own, and stands in the others as its number: most denials are of a few programs.
 */
enum orch_kind { ORCH_KIND_DENIAL, ORCH_KIND_EXEC, ORCH_KINDS };
void orch_key_of_who(struct orch_buf *key, const char *exe, const char *comm, const char *const *parents);
void orch_key_of_denial(struct orch_buf *key, const struct orch_denial *d, uint32_t who);
void orch_key_of_exec(struct orch_buf *key, const struct orch_exec_event *e, uint32_t who);
uint32_t orch_key_who(const char *key);
struct orch_unfolded { /* one of the two; strings point into the keys */
    struct orch_denial d;
    struct orch_exec_event e;
    const char *parents[ORCH_WHO_PARENTS + 1], *argv[ORCH_ARGV_MAX + 1];
    uint64_t args[6];
};
enum orch_kind orch_key_unfold(const char *key, const char *who, struct orch_unfolded *ret);

/* Members of records (audit_put.c). */
void orch_put_denial(struct orch_jw *w, struct orch_args *names, const struct orch_denial *d);
void orch_put_exec(struct orch_jw *w, const struct orch_exec_event *e);
/* A list of byte strings, with "KEY_b64" beside it where one is not UTF-8; nothing for NULL. */
void orch_put_list(struct orch_jw *w, const char *key, const char *const *list, bool empty_is_null);

/* The groups of a run in order of arrival; those of the present scope are at the end. */
struct orch_groups {
    struct orch_denial_group *v;
    size_t n, cap, scope_first;
    struct orch_audit_map map; /* of the present scope */
    size_t *index, index_cap;  /* from its keys to groups */
    /* [1]: of what the view does not have. An agent must not know of those (told.h), so what it is told of
     * the others may not depend on how many there are. */
    size_t n_apart[2], bytes_apart[2];
    size_t rest[2][ORCH_AUDIT_CLASSES]; /* index + 1 of the scope's group for what is not told apart, 0 = none
                                           yet */
    char *phase;
    unsigned attempt;
};

void orch_groups_scope(struct orch_groups *g, const char *phase, unsigned attempt);
/* Index of the group of a denial, made if need be; its count is left to the caller. */
size_t orch_groups_find(struct orch_groups *g, const struct orch_denial *d);
size_t orch_groups_rest(struct orch_groups *g, const struct orch_denial *d);
void orch_groups_fini(struct orch_groups *g);

/* The name of an errno, or "errno N" for one that the C library does not know. */
const char *orch_audit_errno(int errnum, char buf[32]);

#endif
