/*
 * sights.h - what a resolution has seen of the host's file tree: each path is looked at once, and what its
 * result rests on can be compared with the host again later.
 *
 * All looks are lstat(2) of paths whose parents are directories, not symlinks. Where much is missing in a
 * directory, the directory is marked as listed, and its times then count in place of each. A file counts with
 * its size and times, so every change of its bytes shows, and a directory that was only passed through with
 * identity, owner and mode.
 *
 * A look comes before the use of what it looks at: whatever changes in between differs from the look.
 * Strings are owned by the sights. Nothing on the host is changed.
 */
#ifndef ORCH_POLICY_SIGHTS_H
#define ORCH_POLICY_SIGHTS_H

#include <sys/stat.h>
#include "common/util.h"

/* A string map on tsearch(3). */
struct orch_map_node {
    char *key;    /* first: nodes are compared by it */
    char *value;  /* may be NULL */
    size_t index; /* whatever the user of the map keeps */
};
struct orch_map {
    void *root;
};
struct orch_map_node *orch_map_get(const struct orch_map *m, const char *key);
/* The node of key; *ret_new tells whether it was added. */
struct orch_map_node *orch_map_put(struct orch_map *m, const char *key, bool *ret_new);
void orch_map_fini(struct orch_map *m);

struct orch_sight {
    char *path;
    char *target;  /* of a symlink, else NULL */
    int errnum;    /* 0, or why there is nothing to see */
    uint32_t mode; /* the rest is 0 where errnum is not */
    uint32_t uid, gid;
    uint64_t dev, ino, size;
    int64_t mtime, ctime; /* nanoseconds since 1970 */
    unsigned missing;     /* a directory: how many looks found nothing in it */
    bool listed;          /* a directory whose names count */
};

struct orch_sights {
    struct orch_map by_path; /* path -> index in v */
    struct orch_sight *v;    /* in order of discovery */
    size_t n;
    int host_errno; /* the host was in trouble (orch_errno_is_host): what was seen is not all; 0 = no */
    bool blind;     /* something was used that is not among the sights: they prove nothing */
};

/* The sight of path (absolute, without "." and ".."; symlinks not followed), valid until the next look. */
const struct orch_sight *orch_sights_look(struct orch_sights *s, const char *path);
/*
 * The path behind every symlink, newly allocated, or NULL with errno. `links` (may be NULL) receives the
 * symlinks on the way. At most 40, like the kernel.
 */
char *orch_sights_real(struct orch_sights *s, const char *path, struct orch_strv *links);
/* Mode of what path leads to, as stat(2): 0 and *ret, or -errno. */
int orch_sights_mode(struct orch_sights *s, const char *path, mode_t *ret);
/* The names in a directory count from now on. To be called before it is read. */
void orch_sights_list(struct orch_sights *s, const char *real);
/* Existing paths that match: wildcards of fnmatch(3) in the last component only; sorted, added to ret. */
void orch_sights_match(struct orch_sights *s, const char *pattern, struct orch_strv *ret);

/* Must this one be compared? Not what was missing in a listed directory: that tells. */
bool orch_sights_counts(struct orch_sights *s, size_t i);
/* Is what is at path still as it was seen? */
bool orch_sight_holds(const struct orch_sight *s, const char *path);
/*
 * Could something have changed right after a look without leaving a trace? True if a time that counts is not
 * older than two seconds before `now` (nanoseconds): the clock of file times is coarse.
 */
bool orch_sights_fresh(const struct orch_sights *s, int64_t now);
void orch_sights_fini(struct orch_sights *s);

#endif
