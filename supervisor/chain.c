/* chain.c - append-only files of JSON lines, each bound to the one before it. See chain.h. */
#include "supervisor/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"

#define CHAIN_VERSION 1
#define LINE_MAX_BYTES                                                                                       \
    ORCH_JSON_MAX_BYTES /* with the newline: bounds the reader's memory, and so the writer */
#define READ_CHUNK 65536

/* Hands out one line after the other from a descriptor, in bounded memory. */
struct lines {
    int fd;
    char *buf;         /* LINE_MAX_BYTES + READ_CHUNK */
    size_t start, end; /* what is read and not handed out yet */
    size_t scanned;    /* no newline between start and here */
    uint64_t offset;   /* of start in the file */
    bool eof;
};

/* Where a walk stands: what the next record must say. */
struct walk {
    char *name; /* printable */
    uint64_t seq;
    char prev[ORCH_HEX_SIZE];
    struct lines in;
};

static void prev_zero(char prev[ORCH_HEX_SIZE])
{
    memset(prev, '0', ORCH_HEX_SIZE - 1);
    prev[ORCH_HEX_SIZE - 1] = '\0';
}

static void walk_init(struct walk *w, int fd, const char *name)
{
    *w = (struct walk){.name = orch_escape_str(name), .seq = 1, .in.fd = fd};
    w->in.buf = orch_xmalloc(LINE_MAX_BYTES + READ_CHUNK);
    prev_zero(w->prev);
}

static void walk_fini(struct walk *w)
{
    free(w->name);
    free(w->in.buf);
}

/* Every refusal of a record: the same code, and the place first. */
static int bad(const struct walk *w, struct orch_err *err, const char *why)
{
    return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "%s: record %" PRIu64 ": %s", w->name, w->seq, why);
}

static int lines_fill(struct lines *in)
{
    ssize_t n;

    if (in->start > 0) {
        memmove(in->buf, in->buf + in->start, in->end - in->start);
        in->end -= in->start;
        in->scanned -= in->start;
        in->start = 0;
    }
    do {
        n = read(in->fd, in->buf + in->end, LINE_MAX_BYTES + READ_CHUNK - in->end);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    in->end += (size_t)n;
    in->eof = n == 0;
    return 0;
}

/* 1: a line with its newline, valid until the next call. 0: the end. -EMSGSIZE: longer than any record of
 * ours. */
static int lines_next(struct lines *in, const char **ret, size_t *ret_n)
{
    for (;;) {
        const char *nl = memchr(in->buf + in->scanned, '\n', in->end - in->scanned);
        int rc;

        if (nl) {
            *ret = in->buf + in->start;
            *ret_n = (size_t)(nl + 1 - *ret);
            in->start += *ret_n;
            in->scanned = in->start;
            in->offset += *ret_n;
            return *ret_n > LINE_MAX_BYTES ? -EMSGSIZE : 1;
        }
        in->scanned = in->end;
        if (in->end - in->start >= LINE_MAX_BYTES)
            return -EMSGSIZE;
        if (in->eof)
            return 0;
        rc = lines_fill(in);
        if (rc < 0)
            return rc;
    }
}

static bool lines_torn(const struct lines *in)
{
    return in->end > in->start;
}

/* The writer escapes everything else, so any other byte was put there by somebody else. */
static bool all_printable(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] < 0x20 || p[i] > 0x7e)
            return false;
    }
    return true;
}

static bool is_number(const cJSON *item, uint64_t want)
{
    return cJSON_IsNumber(item) && item->valuedouble == (double)want;
}

static int check_version(const struct walk *w, const cJSON *root, struct orch_err *err)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(root, "v");

    if (is_number(v, CHAIN_VERSION))
        return 0;
    if (!cJSON_IsNumber(v) || v->valuedouble < CHAIN_VERSION)
        return bad(w, err, "has no valid version (\"v\")");
    return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                         "%s: record %" PRIu64
                         ": has version %.0f, written by a newer orch-sandbox; this one reads %d",
                         w->name, w->seq, v->valuedouble, CHAIN_VERSION);
}

static int check_members(const struct walk *w, const cJSON *root, struct orch_err *err)
{
    const cJSON *prev = cJSON_GetObjectItemCaseSensitive(root, "prev");
    int rc;

    if (!cJSON_IsObject(root))
        return bad(w, err, "is not a JSON object");
    rc = check_version(w, root, err);
    if (rc < 0)
        return rc;
    if (!is_number(cJSON_GetObjectItemCaseSensitive(root, "seq"), w->seq))
        return bad(w, err, "has the wrong sequence number: a record is missing, repeated or out of order");
    if (!cJSON_IsString(prev) || prev->next)
        return bad(w, err, "does not end with \"prev\"");
    return strcmp(prev->valuestring, w->prev) == 0 ? 0 : -ESTALE;
}

/* The link to the record before is broken. If the record after follows from this one, this one is whole. */
static int broken_link(struct walk *w, const char *line, size_t n, struct orch_err *err)
{
    char own[ORCH_HEX_SIZE], tail[ORCH_HEX_SIZE + 16];
    const char *next;
    size_t m, len;

    orch_sha256_buf(line, n, own);
    len = (size_t)snprintf(tail, sizeof(tail), "\"prev\":\"%s\"}\n", own);
    if (lines_next(&w->in, &next, &m) > 0 && m >= len && memcmp(next + m - len, tail, len) == 0) {
        w->seq--;
        return bad(w, err, "was changed: the record after it does not follow from it");
    }
    return bad(w, err, "does not follow from the record before it: one of the two was changed");
}

/* Checks one line (n bytes with the newline) and moves the walk behind it. On success the caller frees *ret.
 */
static int check_line(struct walk *w, const char *line, size_t n, struct orch_json **ret,
                      struct orch_err *err)
{
    ORCH_AUTO(orch_diags_fini) struct orch_diags diags = {0};
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    int rc;

    if (!all_printable(line, n - 1))
        return bad(w, err, "has bytes that are not printable ASCII");
    if (orch_json_parse(w->name, line, n - 1, &doc, &diags) < 0) {
        const char *why = diags.n > 0 ? diags.v[0].msg : "unreadable";
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "%s: record %" PRIu64 ": is not valid JSON: %s",
                             w->name, w->seq, why);
    }
    rc = check_members(w, orch_json_root(doc), err);
    if (rc == -ESTALE)
        rc = broken_link(w, line, n, err);
    if (rc < 0)
        return rc;
    orch_sha256_buf(line, n, w->prev);
    w->seq++;
    *ret = ORCH_TAKE_PTR(doc);
    return 0;
}

/* The whole file: 0, what fn ended the walk with, or an error. */
static int walk_all(struct walk *w, int (*fn)(void *ctx, const struct orch_json *rec), void *ctx,
                    struct orch_err *err)
{
    const char *line;
    size_t n;
    int rc;

    while ((rc = lines_next(&w->in, &line, &n)) > 0) {
        ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;

        rc = check_line(w, line, n, &doc, err);
        if (rc == 0 && fn)
            rc = fn(ctx, doc);
        if (rc != 0)
            return rc;
    }
    if (rc == -EMSGSIZE)
        return bad(w, err, "is longer than any record can be");
    if (rc < 0)
        return orch_err_exit(err, ORCH_EXIT_STATE, -rc, "%s: cannot read: %s", w->name, strerror(-rc));
    return 0;
}

/*
 * Opens an existing chain. Not through a symlink, and O_NONBLOCK, so that a FIFO put in its place does not
 * hang us (T-FS-17). A missing file is -ENOENT with exit 7: a run without its records proves nothing.
 */
static int open_existing(int dirfd, const char *name, int flags, struct orch_err *err)
{
    ORCH_AUTO_FD int fd = openat(dirfd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    int errnum = fd < 0 ? errno : 0;
    ORCH_AUTO_FREE char *shown = orch_escape_str(name);
    struct stat st;

    if (fd < 0)
        return orch_err_exit(err, errnum == ENOENT || errnum == ELOOP ? ORCH_EXIT_CORRUPT : ORCH_EXIT_STATE,
                             errnum, "%s: cannot open: %s", shown, strerror(errnum));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "%s: is not a regular file", shown);
    return ORCH_TAKE_FD(fd);
}

int orch_chain_create(int dirfd, const char *name, struct orch_chain *ret, struct orch_err *err)
{
    ORCH_AUTO_FD int fd =
        openat(dirfd, name, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
    int rc = fd < 0 ? -errno : 0;

    /* The name must survive a crash as well as the records; a file named by the user is the user's own
     * affair. */
    if (rc == 0 && dirfd != AT_FDCWD)
        rc = orch_fsync_dir(dirfd, ".");
    if (rc < 0) {
        ORCH_AUTO_FREE char *shown = orch_escape_str(name);
        return orch_err_exit(err, ORCH_EXIT_STATE, -rc, "%s: cannot create: %s", shown, strerror(-rc));
    }
    *ret = (struct orch_chain){.fd = ORCH_TAKE_FD(fd), .seq = 1};
    prev_zero(ret->prev);
    return 0;
}

/* Cuts the bytes behind the last newline off; they are no record and nothing may follow them on their line.
 */
static int cut_tail(const struct walk *w, struct orch_err *err)
{
    if (ftruncate(w->in.fd, (off_t)w->in.offset) < 0 || fdatasync(w->in.fd) < 0) {
        int errnum = errno;
        return orch_err_exit(err, ORCH_EXIT_STATE, errnum, "%s: cannot cut a torn record: %s", w->name,
                             strerror(errnum));
    }
    return 0;
}

int orch_chain_continue(int dirfd, const char *name, struct orch_chain *ret, bool *ret_torn,
                        struct orch_err *err)
{
    ORCH_AUTO_FD int fd = open_existing(dirfd, name, O_RDWR | O_APPEND, err);
    ORCH_AUTO(walk_fini) struct walk w = {0};
    bool torn;
    int rc;

    if (fd < 0)
        return fd;
    walk_init(&w, fd, name);
    rc = walk_all(&w, NULL, NULL, err);
    if (rc < 0)
        return rc;
    torn = lines_torn(&w.in);
    if (torn) {
        rc = cut_tail(&w, err);
        if (rc < 0)
            return rc;
    }
    *ret = (struct orch_chain){.seq = w.seq};
    memcpy(ret->prev, w.prev, sizeof(ret->prev));
    ret->fd = ORCH_TAKE_FD(fd);
    if (ret_torn)
        *ret_torn = torn;
    return 0;
}

void orch_chain_fini(struct orch_chain *c)
{
    orch_close_fdp(&c->fd);
}

/* How every record starts: a fixed text, so that commit can tell a record begun before another one was
 * written. */
static int head_text(char *p, size_t size, uint64_t seq)
{
    return snprintf(p, size, "{\"v\":%d,\"seq\":%" PRIu64 ",", CHAIN_VERSION, seq);
}

void orch_chain_begin(const struct orch_chain *c, struct orch_jw *w)
{
    char now[ORCH_TIME_SIZE];

    orch_buf_reset(w->out);
    w->comma = false;
    orch_jw_obj(w, NULL);
    orch_jw_int(w, "v", CHAIN_VERSION);
    orch_jw_uint(w, "seq", c->seq);
    orch_time_now(now);
    orch_jw_str(w, "time", now);
}

/* One write, so that a record is either whole, torn at the end of the file, or absent. Short is a failure:
 * -ENOSPC. */
static int append(int fd, const struct orch_buf *line)
{
    ssize_t n;

    do {
        n = write(fd, line->data, line->len);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == line->len ? 0 : -ENOSPC;
}

static int commit(struct orch_chain *c, const struct orch_buf *line, bool sync)
{
    char head[64];
    int n = head_text(head, sizeof(head), c->seq);
    int rc;

    if (c->fd < 0)
        return -EBADF;
    if (line->len > LINE_MAX_BYTES)
        return -EMSGSIZE;
    if (line->len < (size_t)n || memcmp(line->data, head, (size_t)n) != 0)
        return -EINVAL;
    rc = append(c->fd, line);
    if (rc == 0 && sync && fdatasync(c->fd) < 0)
        rc = -errno;
    return rc;
}

int orch_chain_commit(struct orch_chain *c, struct orch_jw *w, bool sync, struct orch_err *err)
{
    int rc;

    orch_jw_str(w, "prev", c->prev);
    orch_jw_end(w, '}');
    orch_buf_char(w->out, '\n');
    rc = commit(c, w->out, sync);
    if (rc < 0) {
        orch_close_fdp(&c->fd);
        return orch_err_exit(err, ORCH_EXIT_STATE, -rc, "cannot append record %" PRIu64 ": %s", c->seq,
                             strerror(-rc));
    }
    orch_sha256_buf(w->out->data, w->out->len, c->prev);
    c->seq++;
    return 0;
}

int orch_chain_read(int dirfd, const char *name, int (*fn)(void *ctx, const struct orch_json *rec), void *ctx,
                    bool *ret_torn, char ret_head[ORCH_HEX_SIZE], struct orch_err *err)
{
    ORCH_AUTO_FD int fd = open_existing(dirfd, name, O_RDONLY, err);
    ORCH_AUTO(walk_fini) struct walk w = {0};
    int rc;

    if (fd < 0)
        return fd;
    walk_init(&w, fd, name);
    rc = walk_all(&w, fn, ctx, err);
    if (rc != 0)
        return rc;
    if (ret_torn)
        *ret_torn = lines_torn(&w.in);
    if (ret_head)
        memcpy(ret_head, w.prev, sizeof(w.prev));
    return 0;
}
