/*
 * tty.c - the agent's own terminal: a pair of the view's own devpts, made by init, with the other end handed
 * out.
 *
 * No terminal of ours is ever inside: the supervisor relays bytes (invariant 8). init keeps the agent's end
 * open as long as it lives, so that the pair does not hang up when the agent closes all of its descriptors
 * and opens /dev/tty again, and so that our end never reads as ended before the tree is dead.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "common/io.h"
#include "sandbox/kernel.h"
#include "sandbox/sandbox_int.h"

#define PTS_ATTRS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)
#define PTS_MAX "64" /* of this view: the host's are a common pool */
#define INPUT_MAX (1u << 20)

static int set_option(int fs, const char *key, const char *value)
{
    return syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

/* Each mount of devpts is an instance of its own: the host's terminals are not in it. */
int orch_tty_devpts(void)
{
    ORCH_AUTO_FD int fs = (int)syscall(SYS_fsopen, "devpts", FSOPEN_CLOEXEC);
    int r, fd;

    if (fs < 0)
        return -errno;
    r = set_option(fs, "mode", "0600");
    r = r < 0 ? r : set_option(fs, "ptmxmode", "0666");
    r = r < 0 ? r : set_option(fs, "max", PTS_MAX);
    if (r < 0)
        return r;
    if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, PTS_ATTRS);
    return fd < 0 ? -errno : fd;
}

int orch_view_pts(int root, int dev, struct orch_fail *f)
{
    ORCH_AUTO_FD int fd = orch_tty_devpts();
    int r = fd < 0 ? fd : orch_view_attach(fd, root, "/dev/pts", false);

    if (r < 0)
        return orch_fail_set(f, ORCH_STEP_TTY, -r, "/dev/pts");
    if (symlinkat("pts/ptmx", dev, "ptmx") < 0)
        return orch_fail_set(f, ORCH_STEP_TTY, errno, "/dev/ptmx");
    return 0;
}

/* Lines as they go to a pipe when nobody watches: a log without carriage returns. */
static int plain_newlines(int fd)
{
    struct termios t;

    if (tcgetattr(fd, &t) < 0)
        return -errno;
    t.c_oflag &= ~(tcflag_t)ONLCR;
    return tcsetattr(fd, TCSANOW, &t) < 0 ? -errno : 0;
}

int orch_tty_pair(int master, const struct orch_tty *tty, int *ret_slave)
{
    struct winsize size = {.ws_row = tty->rows, .ws_col = tty->cols};
    int unlock = 0;

    if (ioctl(master, TIOCSWINSZ, &size) < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
        return -errno;
    *ret_slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*ret_slave < 0)
        return -errno;
    return tty->in_fd < 0 ? plain_newlines(*ret_slave) : 0;
}

int orch_tty_make(struct orch_start *s, struct orch_fail *f)
{
    struct orch_msg m = {.kind = ORCH_MSG_TTY};
    ORCH_AUTO_FD int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    int slave = -1, r = master < 0 ? -errno : orch_tty_pair(master, s->args->tty, &slave);

    if (r == 0)
        r = orch_msg_send(s->sock, &m, master);
    for (int i = 0; i < 3 && r == 0; i++) {
        orch_close_fdp(&s->stdio[i]);
        s->stdio[i] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
        r = s->stdio[i] < 0 ? -errno : 0;
    }
    return r < 0 ? orch_fail_set(f, ORCH_STEP_TTY, -r, "/dev/pts/ptmx") : 0;
}

int orch_tty_adopt(int fd)
{
    return ioctl(fd, TIOCSCTTY, 0) < 0 ? -errno : 0;
}

/* ---- outside ---- */

void orch_tty_input_fini(struct orch_tty_input *in)
{
    orch_buf_fini(&in->buf);
}

/* A reader that does not read is no reason to hold what comes after it for ever: beyond the limit it is lost,
 * as at a terminal. */
void orch_tty_input_trim(struct orch_tty_input *in)
{
    if (in->buf.len > INPUT_MAX)
        in->buf.len = INPUT_MAX;
}

void orch_tty_input_pump(struct orch_tty_input *in, int master)
{
    while (in->done < in->buf.len) {
        ssize_t n = write(master, in->buf.data + in->done, in->buf.len - in->done);

        if (n <= 0)
            break; /* EAGAIN: poll again; anything else shows when reading */
        in->done += (size_t)n;
    }
    if (in->done == in->buf.len) {
        orch_buf_reset(&in->buf);
        in->done = 0;
    }
}
