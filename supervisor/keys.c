/* keys.c - the signing key of a state directory, and the verb `keygen`. See keys.h. */
#include "supervisor/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"
#include "supervisor/options.h"
#include "supervisor/preflight.h"
#include "supervisor/run.h"

#define DIR_NAME "keys"
#define SECRET_NAME "signing.key"
#define PUBLIC_NAME "signing.pub"
#define SECRET_WORD "orch-sandbox-signing-key-1"
#define PUBLIC_WORD "orch-sandbox-public-key-1"
#define FILE_MAX 256

char *orch_keys_seal_text(const char *run, const char *journal_head, const char *audit_head)
{
    return orch_xasprintf("orch-sandbox seal 1\nrun %s\njournal %s\naudit %s\n", run, journal_head,
                          audit_head);
}

static int write_key(int dirfd, const char *name, const char *word, const char *key, mode_t mode,
                     struct orch_err *err)
{
    ORCH_AUTO_FREE char *line = orch_xasprintf("%s %s\n", word, key);
    int k = orch_create_file_sync(dirfd, name, line, strlen(line), mode);

    orch_sign_wipe(line, strlen(line));
    if (k == -EEXIST)
        return orch_err_exit(
            err, ORCH_EXIT_BUSY, EEXIST,
            "there is a signing key already: what it signed could not be verified with another. "
            "Move %s/%s and %s away to make a new one",
            DIR_NAME, SECRET_NAME, PUBLIC_NAME);
    return k < 0 ? orch_err_exit(err, ORCH_EXIT_STATE, -k, "cannot write %s/%s: %s", DIR_NAME, name,
                                 strerror(-k))
                 : 0;
}

int orch_keys_make(const char *state, char **ret_path, char ret_public[ORCH_KEY_SIZE], struct orch_err *err)
{
    ORCH_AUTO_FREE char *dir = orch_xasprintf("%s/%s", state, DIR_NAME);
    char secret[ORCH_KEY_SIZE];
    int k = orch_mkdir_p(dir, 0700);
    ORCH_AUTO_FD int fd = k < 0 ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return orch_err_exit(err, ORCH_EXIT_STATE, k < 0 ? -k : errno, "cannot make %s: %s", dir,
                             strerror(k < 0 ? -k : errno));
    orch_sign_new(secret, ret_public);
    k = write_key(fd, SECRET_NAME, SECRET_WORD, secret, 0600, err);
    if (k == 0)
        k = write_key(fd, PUBLIC_NAME, PUBLIC_WORD, ret_public, 0644, err);
    orch_sign_wipe(secret, sizeof(secret));
    if (k == 0)
        *ret_path = orch_xasprintf("%s/%s", dir, PUBLIC_NAME);
    return k;
}

/* One line "WORD KEY". */
static bool parse(const struct orch_buf *b, const char *word, char ret[ORCH_KEY_SIZE])
{
    size_t n = strlen(word), want = n + 1 + ORCH_KEY_SIZE - 1 + 1;

    if (b->len != want || memcmp(b->data, word, n) != 0 || b->data[n] != ' ' || b->data[want - 1] != '\n')
        return false;
    memcpy(ret, b->data + n + 1, ORCH_KEY_SIZE - 1);
    ret[ORCH_KEY_SIZE - 1] = '\0';
    return strlen(ret) == ORCH_KEY_SIZE - 1 && orch_sign_is_key(ret);
}

static int refuse(struct orch_err *err, const char *path, const char *why)
{
    return orch_err_exit(err, ORCH_EXIT_STATE, EPERM, "the signing key %s cannot be used: %s", path, why);
}

/* Nobody else may have read or put it there. */
static const char *unfit(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return "it cannot be looked at";
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        return "it is no plain file with one name";
    if (st.st_uid != geteuid())
        return "it belongs to another user";
    return st.st_mode & 077 ? "others may read or write it (chmod 600 makes it right; better make a new one)"
                            : NULL;
}

int orch_keys_secret(const char *state, char ret[ORCH_KEY_SIZE], struct orch_err *err)
{
    ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s/%s", state, DIR_NAME, SECRET_NAME);
    ORCH_AUTO_BUF struct orch_buf b = {0};
    ORCH_AUTO_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    const char *why;
    bool ok;
    int k;

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return refuse(err, path, strerror(errno));
    why = unfit(fd);
    if (why)
        return refuse(err, path, why);
    k = orch_read_all(fd, FILE_MAX, &b);
    ok = k >= 0 && parse(&b, SECRET_WORD, ret);
    if (b.data)
        orch_sign_wipe(b.data, b.len);
    return ok ? 1 : refuse(err, path, k < 0 ? strerror(-k) : "it is not one that keygen made");
}

int orch_keys_check(const char *state, struct orch_err *err)
{
    char secret[ORCH_KEY_SIZE];
    int k = orch_keys_secret(state, secret, err);

    orch_sign_wipe(secret, sizeof(secret));
    return k < 0 ? k : 0;
}

int orch_keys_public(const char *path, char ret[ORCH_KEY_SIZE], struct orch_err *err)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(path);
    ORCH_AUTO_BUF struct orch_buf b = {0};
    int k = orch_read_file(AT_FDCWD, path, FILE_MAX, &b);

    if (k < 0)
        return orch_err_exit(err, ORCH_EXIT_USAGE, -k, "--key %s: cannot be read: %s", shown, strerror(-k));
    if (!parse(&b, PUBLIC_WORD, ret))
        return orch_err_exit(
            err, ORCH_EXIT_USAGE, EINVAL,
            "--key %s: expected the one line of a public key, '%s BASE64', as keygen writes it "
            "to %s",
            shown, PUBLIC_WORD, PUBLIC_NAME);
    return 0;
}

int orch_cmd_keygen(const struct orch_options *opt)
{
    ORCH_AUTO_FREE char *state = NULL;
    ORCH_AUTO_FREE char *path = NULL;
    char public[ORCH_KEY_SIZE];
    struct orch_err err = {0};
    int k = orch_preflight_inside(&err);

    if (k == 0)
        k = orch_state_resolve(opt->state, &state, &err);
    if (k == 0)
        k = orch_state_prepare(state, &err);
    if (k == 0)
        k = orch_keys_make(state, &path, public, &err);
    if (k < 0)
        return orch_fail(&err, ORCH_EXIT_STATE);
    (void)printf(
        "public key: %s\nfile: %s\nRuns in this state directory are signed from now on. Keep a copy of the "
        "public key elsewhere,\nfor: orch-sandbox verify --key FILE RUN\n",
        public, path);
    return ORCH_EXIT_OK;
}
