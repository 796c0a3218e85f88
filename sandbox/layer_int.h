/*
 * layer_int.h - what the layer files share; private to sandbox/layer_*.c, supervisor/apply*.c and
 * fingerprint.c.
 *
 * Three tools: opening paths of any length beneath a pinned root (layer_walk.c), walking one raw tree
 * directory by directory (layer_walk.c), and the merge rules of overlayfs for one directory of a view
 * (layer_merge.c). All are iterative and hold a number of descriptors that depends on the number of trees,
 * never on their depth. Functions return 0 or -errno; those with an err fill it.
 */
#ifndef ORCH_SANDBOX_LAYER_INT_H
#define ORCH_SANDBOX_LAYER_INT_H

#include "sandbox/layer.h"

#define ORCH_OPAQUE_XATTR "user.overlay.opaque"

/* Sets "WHAT PATH: strerror" (path escaped) and returns r, a negative errno. */
int orch_layer_fail(struct orch_err *err, int r, const char *what, const char *path);
/* True if a path of ours is usable: relative, no "..", components at most NAME_MAX. "" and "." are the root.
 */
bool orch_layer_path_ok(const char *path);
/* Next component of *path into name (NAME_MAX+1 bytes); false at the end. "." and empty components are
 * skipped. */
#define ORCH_NAME_SIZE 256
bool orch_layer_next(const char **path, char name[ORCH_NAME_SIZE]);
/* Splits at the last slash: newly allocated directory ("" = root), *ret_name points into path. */
char *orch_layer_parent(const char *path, const char **ret_name);

/* orch_open_beneath for paths longer than PATH_MAX, never crossing a mount (-EXDEV). "" = root itself. */
int orch_tree_open(int root, const char *path, int flags);
/* The same for a plain file: O_RDONLY, never blocks, -EINVAL unless it is regular. */
int orch_tree_open_file(int dirfd, const char *path);
/* The same for one that the caller has just seen to be regular: a system call for each look is saved. */
int orch_tree_open_seen(int dirfd, const char *path);

/* Names of a directory with d_type. The bytes stay where the kernel wrote them, in blocks that the list owns.
 */
struct orch_names {
    struct orch_name {
        const char *s;
        uint64_t ino; /* as the directory has it: a hint for an order, no identity */
        unsigned char type;
        size_t rank; /* for the caller */
    } * v;
    size_t n, cap;
    struct orch_names_block *blocks;
};

/* Appends, unsorted. dirfd: open for reading, or O_PATH, which costs another opening. */
int orch_names_read(int dirfd, size_t rank, struct orch_names *out);
void orch_names_sort(struct orch_names *names); /* by name, then rank */
void orch_names_fini(struct orch_names *names);

/* Directories found and not yet visited. A path is kept as parent and name: memory grows with the count, not
 * the depth. */
struct orch_dirq {
    struct orch_dirq_node {
        size_t parent;
        char *name;
        void *data; /* owned, freed by _fini unless taken */
    } * v;
    size_t n, cap;
    size_t *todo;
    size_t n_todo, cap_todo;
};
#define ORCH_DIRQ_ROOT SIZE_MAX

void orch_dirq_push(struct orch_dirq *q, size_t parent, const char *name, void *data);
/* Last pushed first; fills path ("" for a node without parent and name); false when none is left. */
bool orch_dirq_pop(struct orch_dirq *q, size_t *ret_node, struct orch_buf *path);
void orch_dirq_fini(struct orch_dirq *q);

struct orch_walk_entry {
    const char *path; /* relative to the root; "" for the root */
    int dirfd;        /* the directory it is in */
    const char *name; /* "." for the root */
    const struct stat *st;
};
typedef int (*orch_walk_fn)(const struct orch_walk_entry *e, void *ctx, struct orch_err *err);
#define ORCH_WALK_ROOT 1u /* the root is an entry too */
#define ORCH_WALK_OPEN 4u /* with LIVE: what cannot be read is an error all the same */
#define ORCH_WALK_LIVE 2u /* what vanishes or cannot be read is skipped: the tree is in use */
#define ORCH_WALK_ANY 8u  /* within a directory by inode number: quick on a disk, for callers that sort */
/*
 * Calls fn for every entry of the tree, directory by directory, in an order that depends on the names alone
 * (unless ORCH_WALK_ANY).
 * Does not descend into mounts. fn's non-zero result ends the walk and is returned (err then is fn's).
 */
int orch_walk(int root, unsigned flags, orch_walk_fn fn, void *ctx, struct orch_err *err);

/*
 * One directory of a view: a descriptor for each tree that takes part. in[i] says in which of two views tree
 * i does: FULL is the view itself, OLD the view of its older trees (used by orch_view_changes only).
 */
#define ORCH_IN_FULL 1u
#define ORCH_IN_OLD 2u

struct orch_mdir {
    const struct orch_view *view;
    int *fd;           /* O_PATH, or for a layer to read; -1 = takes no part */
    unsigned char *in; /* view->n bytes */
};

struct orch_side { /* what one of the two views has under a name */
    struct stat st;
    size_t tree;
    bool found, done;
};

bool orch_is_whiteout(const struct stat *st);
char orch_type_char(mode_t mode); /* as in struct orch_entry */
int orch_mdir_root(const struct orch_view *v, struct orch_mdir *ret);
/* in: view->n bytes, copied; a tree whose directory is a mount point is left out. */
int orch_mdir_open(const struct orch_view *v, const char *path, const unsigned char *in,
                   struct orch_mdir *ret);
/* Resolves one name for both sides; child_in (view->n bytes) receives the trees that take part in it as a
 * directory. */
int orch_mdir_step(const struct orch_mdir *m, const char *name, struct orch_side side[2],
                   unsigned char *child_in);
/* Replaces m by its child directory. */
int orch_mdir_down(struct orch_mdir *m, const char *name, const unsigned char *child_in);
/* Names that FULL has, with type, sorted; whiteouts are gone. */
int orch_mdir_list(const struct orch_mdir *m, struct orch_names *ret);
void orch_mdir_fini(struct orch_mdir *m);
/* Fills an entry from a side found in directory m. */
int orch_mdir_entry(const struct orch_mdir *m, const char *name, const struct orch_side *s,
                    struct orch_entry *ret);

/* fn: 1 = do not descend into this directory, negative ends the walk. The root is no entry. */
typedef int (*orch_view_fn)(const char *path, const char *name, unsigned char d_type, void *ctx);
int orch_view_walk(const struct orch_view *v, orch_view_fn fn, void *ctx, struct orch_err *err);

/* First offset from off on that may hold data; size if only a hole follows. */
uint64_t orch_next_data(int fd, uint64_t off, uint64_t size);
/* 1 equal, 0 not, -errno. Both are regular files of that size. Holes are not read. */
int orch_bytes_equal(int a, int b, uint64_t size);
/* Copies size bytes into an empty file, holes stay holes; -EIO if the source is shorter. */
int orch_copy_bytes(int in, int out, uint64_t size);
/* The usual end of a new file: owner (unless -1), mode, mtime. */
int orch_dress_fd(int fd, uid_t uid, gid_t gid, mode_t mode, const struct timespec *mtime);

/* What is being built into a layer directory; layer_build.c. */
struct orch_build {
    const struct orch_view *view;   /* the parents' modes and times */
    const struct orch_view *second; /* asked when view has no directory there; may be NULL */
    int fd;                         /* of the layer directory */
    uid_t uid;
    gid_t gid;
    bool used;
    struct orch_build_dir { /* directories made, in order: their times are set last */
        char *path;
        struct timespec mtime;
        mode_t mode;
    } * dirs;
    size_t n_dirs, cap_dirs;
};

int orch_build_init(struct orch_build *b, const char *dir, struct orch_err *err);
/* Opens (making what is missing) the directory; -ENOTDIR if the layer holds something else in the way. */
int orch_build_dir(struct orch_build *b, const char *path);
/* A new entry of that directory as e describes it, owned by b's uid and gid unless -1. in: the file's bytes.
 */
int orch_build_file(const struct orch_build *b, int dir, const char *name, int in,
                    const struct orch_entry *e);
int orch_build_link(const struct orch_build *b, int dir, const char *name, const struct orch_entry *e);
int orch_build_whiteout(struct orch_build *b, const char *path);
int orch_build_finish(struct orch_build *b, struct orch_err *err); /* modes and times of directories */
void orch_build_fini(struct orch_build *b);

#endif
