/* audit_groups.c - a map of byte keys, and denials grouped for the summary and the agent's feedback. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "supervisor/audit_int.h"

#define MAP_MIN_SLOTS 64
#define MAX_GROUP_BYTES (8u << 20) /* of what tells groups of a run apart, twice */

/* Both halves of a 64x64 product: every input bit reaches every output bit. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load(const unsigned char *p, size_t n)
{
    uint64_t word = 0;

    memcpy(&word, p, n < sizeof(word) ? n : sizeof(word));
    return word;
}

uint64_t orch_audit_map_hash(const struct orch_audit_map *m, const void *key, size_t len)
{
    const unsigned char *p = key;
    uint64_t h = m->seed[0] ^ len;

    for (; len > 16; p += 16, len -= 16)
        h = mix(load(p, 8) ^ m->seed[1], load(p + 8, 8) ^ h);
    h = mix(load(p, len) ^ m->seed[1], load(p + 8, len > 8 ? len - 8 : 0) ^ h);
    return mix(h ^ m->seed[0], m->seed[1] | 1);
}

size_t orch_audit_map_find(const struct orch_audit_map *m, const void *key, size_t len, uint64_t hash)
{
    if (m->n_slots == 0)
        return ORCH_MAP_NONE;
    for (size_t i = hash & (m->n_slots - 1); m->slots[i] != 0; i = (i + 1) & (m->n_slots - 1)) {
        const struct orch_audit_map_key *k = &m->keys[m->slots[i] - 1];

        if (k->hash == hash && k->len == len && memcmp(k->data, key, len) == 0)
            return m->slots[i] - 1;
    }
    return ORCH_MAP_NONE;
}

size_t orch_audit_map_again(const struct orch_audit_map *m, const struct orch_buf *key, size_t *at,
                            uint64_t *ret_hash)
{
    size_t found;

    if (*at < m->n && m->keys[*at].len == key->len && memcmp(m->keys[*at].data, key->data, key->len) == 0)
        return *at;
    *ret_hash = orch_audit_map_hash(m, key->data, key->len);
    found = orch_audit_map_find(m, key->data, key->len, *ret_hash);
    if (found != ORCH_MAP_NONE)
        *at = found;
    return found;
}

static void map_place(struct orch_audit_map *m, size_t index)
{
    size_t i = m->keys[index].hash & (m->n_slots - 1);

    while (m->slots[i] != 0)
        i = (i + 1) & (m->n_slots - 1);
    m->slots[i] = (uint32_t)index + 1;
}

static void map_grow(struct orch_audit_map *m)
{
    m->n_slots = m->n_slots ? m->n_slots * 2 : MAP_MIN_SLOTS;
    m->cap = m->n_slots / 2; /* at most half full, so probes stay short */
    free(m->slots);
    m->slots = orch_xcalloc(m->n_slots, sizeof(m->slots[0]));
    m->keys = orch_xreallocarray(m->keys, m->cap, sizeof(m->keys[0]));
    for (size_t i = 0; i < m->n; i++)
        map_place(m, i);
}

/* The seed is drawn with the first key. Should the kernel have no entropy yet, only speed is at stake. */
static uint64_t map_seed(struct orch_audit_map *m, const void *key, size_t len)
{
    (void)!getrandom(m->seed, sizeof(m->seed), GRND_NONBLOCK);
    return orch_audit_map_hash(m, key, len);
}

size_t orch_audit_map_add(struct orch_audit_map *m, const void *key, size_t len, uint64_t hash)
{
    struct orch_audit_map_key *k;

    if (m->n_slots == 0)
        hash = map_seed(m, key, len);
    if (m->n == m->cap)
        map_grow(m);
    k = &m->keys[m->n];
    *k = (struct orch_audit_map_key){.hash = hash, .len = len, .data = orch_xmalloc(len ? len : 1)};
    memcpy(k->data, key, len);
    m->bytes += len;
    map_place(m, m->n);
    return m->n++;
}

void orch_audit_map_fini(struct orch_audit_map *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->keys[i].data);
    free(m->keys);
    free(m->slots);
    *m = (struct orch_audit_map){0};
}

void orch_key_str(struct orch_buf *key, const char *s)
{
    if (!s) {
        orch_buf_char(key, '\0');
        return;
    }
    orch_buf_char(key, '\1');
    orch_buf_add(key, s, strlen(s) + 1);
}

const char *orch_key_next(const char **pp)
{
    const char *s = *pp + 1;

    if (**pp == '\0') {
        *pp = s;
        return NULL;
    }
    *pp = s + strlen(s) + 1;
    return s;
}

const char *orch_audit_errno(int errnum, char buf[32])
{
    const char *name = strerrorname_np(errnum);

    if (name)
        return name;
    (void)snprintf(buf, 32, "errno %d", errnum);
    return buf;
}

static char *dup_or_null(const char *s)
{
    return s ? orch_xstrdup(s) : NULL;
}

static struct orch_denial_group *group_new(struct orch_groups *g, enum orch_denial_class class)
{
    struct orch_denial_group *v;

    if (g->n == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 64;
        g->v = orch_xreallocarray(g->v, g->cap, sizeof(g->v[0]));
    }
    v = &g->v[g->n++];
    *v = (struct orch_denial_group){.class_name = orch_xstrdup(orch_denial_class_name(class)),
                                    .phase = dup_or_null(g->phase),
                                    .attempt = g->attempt};
    return v;
}

static void group_fini(struct orch_denial_group *v)
{
    free(v->class_name);
    free(v->syscall);
    free(v->path);
    free(v->access);
    free(v->rule);
    free(v->exe);
    free(v->errname);
    free(v->phase);
}

void orch_groups_scope(struct orch_groups *g, const char *phase, unsigned attempt)
{
    orch_audit_map_fini(&g->map);
    g->scope_first = g->n;
    memset(g->rest, 0, sizeof(g->rest));
    free(g->phase);
    g->phase = dup_or_null(phase);
    g->attempt = attempt;
}

static bool is_absent(const struct orch_denial *d)
{
    return d->rule && strcmp(d->rule, ORCH_RULE_ABSENT) == 0;
}

size_t orch_groups_rest(struct orch_groups *g, const struct orch_denial *d)
{
    size_t *rest = &g->rest[is_absent(d)][d->class];

    if (*rest == 0) {
        struct orch_denial_group *v = group_new(g, d->class);

        v->rule = is_absent(d) ? orch_xstrdup(ORCH_RULE_ABSENT) : NULL;
        *rest = g->n;
    }
    return *rest - 1;
}

static void group_key(struct orch_buf *key, const struct orch_denial *d)
{
    orch_buf_add(key, &d->class, sizeof(d->class));
    orch_buf_add(key, &d->errnum, sizeof(d->errnum));
    orch_key_str(key, d->syscall);
    orch_key_str(key, d->path);
    orch_key_str(key, d->access);
    orch_key_str(key, d->rule);
    orch_key_str(key, d->exe);
}

/* The scope's n-th key is not its n-th group, since groups of the rest come between: `index` leads from one
 * to the other. */
static void index_add(struct orch_groups *g, const struct orch_buf *key, uint64_t hash, size_t group)
{
    size_t at = orch_audit_map_add(&g->map, key->data, key->len, hash);

    if (at >= g->index_cap) {
        g->index_cap = g->index_cap ? g->index_cap * 2 : 64;
        g->index = orch_xreallocarray(g->index, g->index_cap, sizeof(g->index[0]));
    }
    g->index[at] = group;
}

/* Takes it. */
static bool has_room(struct orch_groups *g, bool absent, size_t len)
{
    if (g->n_apart[absent] >= ORCH_AUDIT_MAX_GROUPS || g->bytes_apart[absent] + len > MAX_GROUP_BYTES)
        return false;
    g->n_apart[absent]++;
    g->bytes_apart[absent] += len;
    return true;
}

size_t orch_groups_find(struct orch_groups *g, const struct orch_denial *d)
{
    ORCH_AUTO_BUF struct orch_buf key = {0};
    struct orch_denial_group *v;
    char name[32];
    uint64_t hash;
    size_t at;

    group_key(&key, d);
    hash = orch_audit_map_hash(&g->map, key.data, key.len);
    at = orch_audit_map_find(&g->map, key.data, key.len, hash);
    if (at != ORCH_MAP_NONE)
        return g->index[at];
    if (!has_room(g, is_absent(d), key.len))
        return orch_groups_rest(g, d);
    v = group_new(g, d->class);
    v->syscall = dup_or_null(d->syscall);
    v->path = dup_or_null(d->path);
    v->access = dup_or_null(d->access);
    v->rule = dup_or_null(d->rule);
    v->exe = dup_or_null(d->exe);
    v->errname = d->errnum > 0 ? orch_xstrdup(orch_audit_errno(d->errnum, name)) : NULL;
    index_add(g, &key, hash, g->n - 1);
    return g->n - 1;
}

void orch_groups_fini(struct orch_groups *g)
{
    for (size_t i = 0; i < g->n; i++)
        group_fini(&g->v[i]);
    orch_audit_map_fini(&g->map);
    free(g->v);
    free(g->index);
    free(g->phase);
    *g = (struct orch_groups){0};
}
