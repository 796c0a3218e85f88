/*
 * races.c - one thread changes what a name leads to, another opens it, and each answer is counted.
 *
 * The race is on as long as the answers change: they are counted too, and so are those that a race without
 * anything in its way gets. "secret" is decided on the file that was opened, by its first byte: a secret
 * starts with an S, what is permitted does not.
 */
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/redteam/attack/attack.h"

#define EXCHANGE 2
#define MANY 20
#define PATIENCE 30 /* seconds for an answer that changes, on a machine that is busy */

struct race {
    char *name;           /* what is opened */
    const char *paths[2]; /* bytes: permitted and secret */
    char flipped[4096];   /* what is exchanged, with: */
    char other[4096];
    int flags; /* of the open */
    volatile bool stop;
    volatile unsigned long flips;
    void (*flip)(struct race *r, unsigned i);
};

static void flip_bytes(struct race *r, unsigned i)
{
    memcpy(r->name, r->paths[i & 1], strlen(r->paths[i & 1]) + 1);
}

static void flip_exchange(struct race *r, unsigned i)
{
    (void)i;
    (void)syscall(SYS_renameat2, AT_FDCWD, r->flipped, AT_FDCWD, r->other, EXCHANGE);
}

/* A link made anew beside it, then moved over it. */
static void flip_link(struct race *r, unsigned i)
{
    (void)unlink(r->other);
    if (symlink(r->paths[i & 1], r->other) == 0)
        (void)rename(r->other, r->flipped);
}

static void *flipper(void *arg)
{
    struct race *r = arg;

    for (unsigned i = 1; !r->stop; i++, r->flips++)
        r->flip(r, i);
    return NULL;
}

/* 0 permitted, 1 secret, 2 refused */
static unsigned try(const struct race *r)
{
    char first = 0;
    int fd = (int)syscall(SYS_open, r->name, r->flags | O_CLOEXEC, 0600);
    unsigned got = 2;

    if (fd < 0)
        return 2;
    if (r->flags == O_RDONLY)
        got = read(fd, &first, 1) != 1 ? 2 : first == 'S';
    else
        got = pread(fd, &first, 1, 0) == 1 && first == 'S';
    (void)close(fd);
    return got;
}

static int race(struct race *r, unsigned long rounds)
{
    unsigned long got[3] = {0}, changes = 0;
    time_t end = time(NULL) + PATIENCE;
    pthread_t thread;

    if (pthread_create(&thread, NULL, flipper, r) != 0)
        return -EAGAIN;
    for (unsigned long i = 0, was = 3; i < rounds || (changes < MANY && time(NULL) < end); i++) {
        unsigned long now = try(r);

        got[now]++;
        changes += now != was;
        was = now;
    }
    r->stop = true;
    (void)pthread_join(thread, NULL);
    printf("found permitted=%s refused=%s secret=%s changes=%s (%lu %lu %lu, %lu changes, %lu flips)\n",
           got[0] ? "some" : "none", got[2] ? "some" : "none", got[1] ? "some" : "none",
           changes < MANY ? "few" : "many", got[0], got[2], got[1], changes, r->flips);
    return FOUND;
}

/* PERMITTED SECRET ROUNDS: the bytes of the path change while the call is under way. */
static int do_bytes(char **v)
{
    static char name[4096];
    struct race r = {.paths = {v[0], v[1]}, .name = name, .flip = flip_bytes};

    if (strlen(v[0]) != strlen(v[1]) || strlen(v[0]) >= sizeof(name))
        return -EINVAL;
    memcpy(name, v[0], strlen(v[0]) + 1);
    return race(&r, number(v[2]));
}

static void name_both(struct race *r, const char *dir, const char *name)
{
    (void)snprintf(r->flipped, sizeof(r->flipped), "%.2000s/%.100s", dir, name);
    (void)snprintf(r->other, sizeof(r->other), "%.2000s/%.100s.other", dir, name);
}

/* DIRECTORY PERMITTED SECRET ROUNDS: a link that leads now to one, now to the other, by exchange of two. */
static int do_links(char **v)
{
    struct race r = {.flip = flip_exchange};

    name_both(&r, v[0], "links");
    r.name = r.flipped;
    if (symlink(v[1], r.flipped) < 0 || symlink(v[2], r.other) < 0)
        return -errno;
    return race(&r, number(v[3]));
}

/* The same with a link that is made anew each time. */
static int do_relink(char **v)
{
    struct race r = {.flip = flip_link, .paths = {v[1], v[2]}};

    name_both(&r, v[0], "relink");
    r.name = r.flipped;
    return symlink(v[1], r.flipped) < 0 ? -errno : race(&r, number(v[3]));
}

/* HOW DIRECTORY SECRET ROUNDS: the parent of what is opened is now a directory of one's own with a file of
 * the secret's name in it, now a link to the secret's directory. HOW is read or write. */
static int do_parent(char **v)
{
    struct race r = {.flip = flip_exchange, .flags = v[0][0] == 'w' ? O_RDWR : O_RDONLY};
    const char *leaf = strrchr(v[2], '/') + 1;
    char target[4096], file[4096];
    int fd;

    name_both(&r, v[1], v[0]);
    (void)snprintf(target, sizeof(target), "%.*s", (int)(leaf - 1 - v[2]), v[2]);
    (void)snprintf(file, sizeof(file), "%.3000s/%.100s", r.flipped, leaf);
    if (mkdir(r.flipped, 0700) < 0 || symlink(target, r.other) < 0)
        return -errno;
    fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, "PERMITTED\n", 10) != 10)
        return -errno;
    (void)close(fd);
    r.name = file;
    return race(&r, number(v[3]));
}

/* ONE OTHER: outside, exchanges two names until its standard input ends. */
static int do_flip(char **v)
{
    unsigned long n = 0;

    (void)fcntl(0, F_SETFL, O_NONBLOCK);
    while (read(0, scratch, 1) != 0)
        for (int i = 0; i < 100; i++)
            n += syscall(SYS_renameat2, AT_FDCWD, v[0], AT_FDCWD, v[1], EXCHANGE) == 0;
    printf("flips %lu\n", n);
    return FOUND;
}

const struct verb race_verbs[] = {
    {"flip", 2, do_flip},          {"race:bytes", 3, do_bytes},   {"race:links", 4, do_links},
    {"race:parent", 4, do_parent}, {"race:relink", 4, do_relink}, {NULL, 0, NULL},
};
