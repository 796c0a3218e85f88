/*
 * hangfs.c - a filesystem that stops answering: hangfs DIRECTORY FLAG
 *
 * Mounts on DIRECTORY (FUSE, by its own protocol; needs to be allowed to mount) a directory with one file,
 * "x", and prints "mounted". While FLAG exists, no request is answered: whoever looks up a name there waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_NODE 2 /* "x"; "y", the same with an inode of its own, is the next */

static int dev;

static void answer(uint64_t unique, int error, const void *body, size_t n)
{
    char buf[8192];
    struct fuse_out_header h = {.len = (uint32_t)(sizeof(h) + n), .error = error, .unique = unique};

    memcpy(buf, &h, sizeof(h));
    if (n > 0)
        memcpy(buf + sizeof(h), body, n);
    (void)!write(dev, buf, h.len);
}

static struct fuse_attr attr_of(uint64_t node)
{
    struct fuse_attr a = {
        .ino = node, .nlink = 1, .mode = node >= FILE_NODE ? S_IFREG | 0644 : S_IFDIR | 0755, .size = 5};

    return a;
}

static void serve(const struct fuse_in_header *in, const char *body)
{
    struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096};
    struct fuse_attr_out attr = {.attr = attr_of(in->nodeid)};
    struct fuse_entry_out entry = {0};
    struct fuse_open_out opened = {0};
    struct fuse_statfs_out fs = {0};

    switch (in->opcode) {
    case FUSE_INIT:
        answer(in->unique, 0, &init, sizeof(init));
        return;
    case FUSE_GETATTR:
        answer(in->unique, 0, &attr, sizeof(attr));
        return;
    case FUSE_LOOKUP:
        entry.nodeid = strcmp(body, "x") == 0 ? FILE_NODE : strcmp(body, "y") == 0 ? FILE_NODE + 1 : 0;
        entry.attr = attr_of(entry.nodeid);
        answer(in->unique, entry.nodeid ? 0 : -ENOENT, &entry, entry.nodeid ? sizeof(entry) : 0);
        return;
    case FUSE_OPEN:
    case FUSE_OPENDIR:
        answer(in->unique, 0, &opened, sizeof(opened));
        return;
    case FUSE_READ:
        answer(in->unique, 0, "fuse\n",
               ((const struct fuse_read_in *)(const void *)body)->offset == 0 ? 5 : 0);
        return;
    case FUSE_STATFS:
        answer(in->unique, 0, &fs, sizeof(fs));
        return;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        return; /* no answer is wanted */
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_READDIR:
        answer(in->unique, 0, NULL, 0);
        return;
    default:
        answer(in->unique, -ENOSYS, NULL, 0);
    }
}

int main(int argc, char **argv)
{
    static char buf[FUSE_MIN_READ_BUFFER * 16] __attribute__((aligned(16)));
    char options[128];
    ssize_t n;

    if (argc != 3)
        return 2;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    (void)snprintf(options, sizeof(options), "fd=%d,rootmode=40755,user_id=%u,group_id=%u,allow_other", dev,
                   getuid(), getgid());
    if (dev < 0 || mount("hangfs", argv[1], "fuse", 0, options) < 0) {
        perror("hangfs");
        return 1;
    }
    (void)printf("mounted\n");
    (void)fflush(stdout);
    while ((n = read(dev, buf, sizeof(buf))) > 0 || errno == EINTR) {
        const struct fuse_in_header *in = (const struct fuse_in_header *)(const void *)buf;

        if (n < (ssize_t)sizeof(*in))
            continue;
        while (in->opcode != FUSE_FORGET && access(argv[2], F_OK) == 0)
            (void)nanosleep(&(struct timespec){0, 20000000}, NULL);
        serve(in, buf + sizeof(*in));
    }
    return 0;
}
