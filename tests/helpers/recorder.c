/* What a program does to the files below one directory, in order, with every byte (see recording.py).

   cc -shared -fPIC -o recorder.so recorder.c
   LD_PRELOAD=recorder.so RECORD_ROOT=/dir RECORD_LOG=/file program

   A record is its head and as many bytes as the head says: a path, or what was written. Nothing is recorded of a call
   that failed. Memory that is mapped into files is not seen: SQLite maps only the index of its log, which nobody needs
   after a power cut. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#undef open
#undef open64
#undef pwrite
#undef pwrite64
#undef ftruncate
#undef ftruncate64

enum { OPEN = 'o', CLOSE = 'c', WRITE = 'w', TRUNCATE = 't', SYNC = 's', UNLINK = 'u', RENAME = 'r', MKDIR = 'm', START = '!' };

struct head {
    uint32_t kind;
    int32_t fd;
    uint64_t at;     /* offset, size of a truncation, flags of an open */
    uint64_t length; /* bytes that follow */
};

#define WATCHED_MAX 4096
static char watched[WATCHED_MAX];
static const char *root;
static size_t root_length;
static int log_fd = -1;
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }
#define REAL(type, name, ...)                       \
    static type (*real_##name)(__VA_ARGS__) = NULL; \
    if (!real_##name) real_##name = real(#name)

static void note(int kind, int fd, uint64_t at, const void *data, size_t length) {
    int kept = errno;
    struct head head = {(uint32_t)kind, fd, at, length};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, length}};
    pthread_mutex_lock(&one);
    if (writev(log_fd, parts, 2) != (ssize_t)(sizeof head + length)) _exit(97); /* half a record is worth nothing */
    pthread_mutex_unlock(&one);
    errno = kept;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("RECORD_LOG");
    REAL(int, open, const char *, int, ...);
    root = getenv("RECORD_ROOT");
    if (!path || !root) return;
    root_length = strlen(root);
    log_fd = real_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log_fd < 0) _exit(96);
    note(START, -1, 0, "", 0);
}

static int ours(const char *path) {
    return log_fd >= 0 && path && !strncmp(path, root, root_length) && (!path[root_length] || path[root_length] == '/');
}
static int is_watched(int fd) { return log_fd >= 0 && fd >= 0 && fd < WATCHED_MAX && watched[fd]; }

static int opened(int fd, const char *path, int flags) {
    if (fd >= 0 && ours(path)) {
        if (fd >= WATCHED_MAX) _exit(95);
        watched[fd] = 1;
        note(OPEN, fd, (uint64_t)flags, path, strlen(path));
    }
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) {
    REAL(int, open, const char *, int, ...);
    MODE(flags)
    return opened(real_open(path, flags, mode), path, flags);
}
int open64(const char *path, int flags, ...) {
    REAL(int, open64, const char *, int, ...);
    MODE(flags)
    return opened(real_open64(path, flags, mode), path, flags);
}
int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open64(path, flags); }
int openat(int folder, const char *path, int flags, ...) {
    REAL(int, openat, int, const char *, int, ...);
    MODE(flags)
    return opened(real_openat(folder, path, flags, mode), path, flags);
}
int openat64(int folder, const char *path, int flags, ...) {
    REAL(int, openat64, int, const char *, int, ...);
    MODE(flags)
    return opened(real_openat64(folder, path, flags, mode), path, flags);
}

int close(int fd) {
    REAL(int, close, int);
    if (is_watched(fd)) {
        watched[fd] = 0;
        note(CLOSE, fd, 0, "", 0);
    }
    return real_close(fd);
}

static ssize_t wrote(ssize_t done, int fd, const void *data, off_t at) {
    if (done > 0 && is_watched(fd)) note(WRITE, fd, (uint64_t)at, data, (size_t)done);
    return done;
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    return wrote(real_pwrite(fd, data, length, at), fd, data, at);
}
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    return wrote(real_pwrite64(fd, data, length, at), fd, data, at);
}
ssize_t write(int fd, const void *data, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    off_t at = is_watched(fd) ? lseek(fd, 0, SEEK_CUR) : 0;
    return wrote(real_write(fd, data, length), fd, data, at);
}

static int truncated(int failed, int fd, off_t size) {
    if (!failed && is_watched(fd)) note(TRUNCATE, fd, (uint64_t)size, "", 0);
    return failed;
}
int ftruncate(int fd, off_t size) {
    REAL(int, ftruncate, int, off_t);
    return truncated(real_ftruncate(fd, size), fd, size);
}
int ftruncate64(int fd, off64_t size) {
    REAL(int, ftruncate64, int, off64_t);
    return truncated(real_ftruncate64(fd, size), fd, size);
}

static int synced(int failed, int fd) {
    if (!failed && is_watched(fd)) note(SYNC, fd, 0, "", 0);
    return failed;
}
int fsync(int fd) {
    REAL(int, fsync, int);
    return synced(real_fsync(fd), fd);
}
int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    return synced(real_fdatasync(fd), fd);
}

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    int failed = real_unlink(path);
    if (!failed && ours(path)) note(UNLINK, -1, 0, path, strlen(path));
    return failed;
}
int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    int failed = real_rename(from, to);
    if (!failed && ours(from) && ours(to)) {
        char both[8192];
        size_t first = strlen(from) + 1, second = strlen(to);
        if (first + second > sizeof both) _exit(94);
        memcpy(both, from, first);
        memcpy(both + first, to, second);
        note(RENAME, -1, 0, both, first + second);
    }
    return failed;
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    int failed = real_mkdir(path, mode);
    if (!failed && ours(path)) note(MKDIR, -1, 0, path, strlen(path));
    return failed;
}
