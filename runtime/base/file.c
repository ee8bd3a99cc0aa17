#define _GNU_SOURCE
#include "runtime/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* -- Reading whole files -- */

typedef struct {
    unsigned char *bytes; /* room + 1 bytes, the last for the zero */
    size_t size, room;
} growing_buffer;

/*
 * A name that leads nowhere is the user's mistake, like a file with wrong contents; anything else
 * (permissions, a failing disk) is the system's refusal.
 */
static sa_status fail_to_open(const char *path, sa_error *err)
{
    int number = errno;
    if (number == ENOENT || number == ENOTDIR || number == ELOOP || number == ENAMETOOLONG ||
        number == EACCES) {
        return sa_fail(err, SA_BAD_INPUT, path, "check the path", "cannot open: %s", strerror(number));
    }
    return sa_fail_errno(err, path, "cannot open");
}

/* Opens `path` and says what it is. Waits for a writer if it is a named pipe. */
static sa_status open_for_reading(const char *path, int *descriptor, struct stat *info, sa_error *err)
{
    int opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (opened < 0) {
        return fail_to_open(path, err);
    }
    sa_status status = SA_OK;
    if (fstat(opened, info) != 0) {
        status = sa_fail_errno(err, path, "cannot open");
    } else if (S_ISDIR(info->st_mode)) {
        status = sa_fail(err, SA_BAD_INPUT, path, "name a file", "is a directory");
    } else if (!S_ISREG(info->st_mode) && !S_ISFIFO(info->st_mode)) {
        status = sa_fail(err, SA_BAD_INPUT, path, "name a file", "is neither a file nor a pipe");
    }
    if (status != SA_OK) {
        close(opened);
        return status;
    }
    *descriptor = opened;
    return SA_OK;
}

/* Room for more than `size` bytes, at most `most`. The size that a file claims is only where we start. */
static bool grow(growing_buffer *buffer, size_t most)
{
    size_t room = buffer->room > most / 2 ? most : buffer->room * 2;
    unsigned char *bytes = realloc(buffer->bytes, room + 1);
    if (bytes == NULL) {
        return false;
    }
    buffer->bytes = bytes;
    buffer->room = room;
    return true;
}

/* Reads to the end, or until there are `most` bytes. */
static sa_status read_to_end(int descriptor, const char *path, growing_buffer *buffer, size_t most,
                             sa_error *err)
{
    while (buffer->size < most) {
        if (buffer->size == buffer->room && !grow(buffer, most)) {
            return sa_fail(err, SA_NO_ROOM, path, NULL, "no memory for %zu bytes of it", buffer->room);
        }
        ssize_t got = read(descriptor, buffer->bytes + buffer->size, buffer->room - buffer->size);
        if (got == 0) {
            return SA_OK;
        }
        if (got < 0 && errno != EINTR) {
            return sa_fail_errno(err, path, "cannot read");
        }
        buffer->size += got > 0 ? (size_t)got : 0;
    }
    return SA_OK;
}

static sa_status fail_too_large(const char *path, size_t limit, sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, path, "check that it is the right file",
                   "is larger than the %zu bytes that are allowed for it", limit);
}

/* `expected`: how many bytes there probably are. */
static sa_status read_descriptor(int descriptor, const char *path, size_t expected, size_t limit,
                                 growing_buffer *buffer, sa_error *err)
{
    enum { LEAST_ROOM = 4096 };
    /* One byte more than allowed shows that there is too much. */
    size_t most = limit < SIZE_MAX - 1 ? limit + 1 : SIZE_MAX - 1;
    size_t room = expected < LEAST_ROOM ? LEAST_ROOM : expected + 1; /* the + 1 lets one read meet the end */
    room = room < most ? room : most;
    *buffer = (growing_buffer){.bytes = malloc(room + 1), .size = 0, .room = room};
    if (buffer->bytes == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, NULL, "no memory for its %zu bytes", expected);
    }
    sa_status status = read_to_end(descriptor, path, buffer, most, err);
    if (status == SA_OK && buffer->size > limit) {
        status = fail_too_large(path, limit, err);
    }
    if (status != SA_OK) {
        free(buffer->bytes);
        return status;
    }
    buffer->bytes[buffer->size] = 0;
    return SA_OK;
}

static sa_status read_named(const char *path, size_t limit, growing_buffer *buffer, sa_error *err)
{
    int descriptor = -1;
    struct stat info;
    SA_TRY(open_for_reading(path, &descriptor, &info, err));
    bool regular = S_ISREG(info.st_mode);
    sa_status status;
    if (regular && (uintmax_t)info.st_size > limit) {
        status = fail_too_large(path, limit, err);
    } else {
        status = read_descriptor(descriptor, path, regular ? (size_t)info.st_size : 0, limit, buffer, err);
    }
    close(descriptor);
    return status;
}

sa_status sa_file_read(const char *path, size_t limit, unsigned char **bytes, size_t *size, sa_error *err)
{
    growing_buffer buffer = {0};
    if (strcmp(path, "-") == 0) {
        SA_TRY(read_descriptor(STDIN_FILENO, "standard input", 0, limit, &buffer, err));
    } else {
        SA_TRY(read_named(path, limit, &buffer, err));
    }
    *bytes = buffer.bytes;
    *size = buffer.size;
    return SA_OK;
}

/* -- Names and directories -- */

bool sa_file_is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool sa_file_is_regular(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool sa_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

sa_status sa_file_join(char *out, size_t size, const char *directory, const char *name, sa_error *err)
{
    size_t length = strlen(directory);
    const char *slash = length == 0 || directory[length - 1] == '/' ? "" : "/";
    int written = snprintf(out, size, "%s%s%s", directory, slash, name);
    if (written < 0 || (size_t)written >= size) {
        return sa_fail(err, SA_BAD_INPUT, directory, "use a shorter path", "the path with %.200s is too long",
                       name);
    }
    return SA_OK;
}

static sa_status make_one_directory(const char *path, sa_error *err)
{
    /*
     * Whatever mkdir says, a directory that is there is fine: some file systems answer EACCES before EEXIST.
     */
    if (mkdir(path, 0777) == 0) {
        return SA_OK;
    }
    int number = errno;
    if (sa_file_is_directory(path)) {
        return SA_OK;
    }
    if (number == EEXIST || number == ENOTDIR) {
        return sa_fail(err, SA_BAD_INPUT, path, "choose another name",
                       "a file stands where a directory should be");
    }
    errno = number;
    return sa_fail_errno(err, path, "cannot make the directory");
}

sa_status sa_file_make_directory(const char *path, sa_error *err)
{
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) {
        return sa_fail(err, SA_BAD_INPUT, path, "choose another name", "is no name for a directory");
    }
    for (size_t end = 1; end <= length; end++) {
        if (path[end] == '/' || path[end] == '\0') {
            memcpy(part, path, end);
            part[end] = '\0';
            SA_TRY(make_one_directory(part, err));
        }
    }
    return SA_OK;
}

/* -- Mapped files -- */

enum { MAP_SLOTS = 1024 };

typedef enum { SLOT_FREE = 0, SLOT_TAKEN, SLOT_ACTIVE } slot_state;

typedef struct {
    atomic_int state; /* begin and end hold only while ACTIVE */
    atomic_uintptr_t begin, end;
    atomic_bool cut; /* a page of it could not be had */
} map_slot;

/*
 * The one mutable static of this file: a signal handler is given no handle, so the maps that it serves must
 * be found from a fixed place. Only atomics are shared with it; `previous` and `page` are written before it
 * is installed.
 */
static struct {
    pthread_mutex_t mutex; /* for installing */
    struct sigaction previous;
    uintptr_t page;
    map_slot slots[MAP_SLOTS];
} guard = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static map_slot *slot_of(uintptr_t address)
{
    for (int i = 0; i < MAP_SLOTS; i++) {
        map_slot *slot = &guard.slots[i];
        if (atomic_load_explicit(&slot->state, memory_order_acquire) == SLOT_ACTIVE &&
            address >= atomic_load_explicit(&slot->begin, memory_order_relaxed) &&
            address < atomic_load_explicit(&slot->end, memory_order_relaxed)) {
            return slot;
        }
    }
    return NULL;
}

/* A SIGBUS that is not ours: does what would have been done without us. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    if ((guard.previous.sa_flags & SA_SIGINFO) != 0) {
        guard.previous.sa_sigaction(number, info, context);
        return;
    }
    if (guard.previous.sa_handler == SIG_IGN && info->si_code <= 0) {
        return; /* sent by kill(), and to be ignored */
    }
    if (guard.previous.sa_handler != SIG_DFL && guard.previous.sa_handler != SIG_IGN) {
        guard.previous.sa_handler(number);
        return;
    }
    /* Blocked while we are in here, so it is delivered, and ends the program, when we return. */
    struct sigaction fatal = {.sa_handler = SIG_DFL};
    sigaction(number, &fatal, NULL);
    raise(number);
}

/* Runs in a signal handler: only atomics and system calls. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    uintptr_t address = (uintptr_t)info->si_addr;
    map_slot *slot = info->si_code == BUS_ADRERR ? slot_of(address) : NULL;
    bool served = false;
    if (slot != NULL) {
        atomic_store_explicit(&slot->cut, true, memory_order_release);
        void *page = (void *)(address & ~(guard.page - 1));
        served = mmap(page, guard.page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page;
    }
    if (!served) {
        pass_on(number, info, context);
    }
    errno = saved;
}

/* Checked at every open, since test frames and crash reporters put their own handler in place. */
static void install_handler(void)
{
    pthread_mutex_lock(&guard.mutex);
    struct sigaction now;
    bool ours = sigaction(SIGBUS, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 &&
                now.sa_sigaction == on_bus_error;
    if (!ours) {
        guard.previous = now;
        guard.page = (uintptr_t)sysconf(_SC_PAGESIZE);
        struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigemptyset(&action.sa_mask);
        SA_ASSERT(sigaction(SIGBUS, &action, NULL) == 0);
    }
    pthread_mutex_unlock(&guard.mutex);
}

/* Its slot's number, or -1 if all are in use. */
static int slot_take(uintptr_t begin, size_t size)
{
    for (int i = 0; i < MAP_SLOTS; i++) {
        map_slot *slot = &guard.slots[i];
        int expected = SLOT_FREE;
        if (atomic_compare_exchange_strong(&slot->state, &expected, SLOT_TAKEN)) {
            atomic_store_explicit(&slot->begin, begin, memory_order_relaxed);
            atomic_store_explicit(&slot->end, begin + size, memory_order_relaxed);
            atomic_store_explicit(&slot->cut, false, memory_order_relaxed);
            atomic_store_explicit(&slot->state, SLOT_ACTIVE, memory_order_release);
            return i;
        }
    }
    return -1;
}

/* Fills in bytes, slot and descriptor for a file of map->size > 0 bytes. */
static sa_status map_descriptor(sa_file_map *map, int descriptor, const char *path, sa_error *err)
{
    install_handler();
    void *bytes = mmap(NULL, map->size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (bytes == MAP_FAILED) {
        return sa_fail_errno(err, path, "cannot map");
    }
    int slot = slot_take((uintptr_t)bytes, map->size);
    if (slot < 0) {
        munmap(bytes, map->size);
        return sa_fail(err, SA_NO_ROOM, path, NULL, "more than %d files are mapped at once", MAP_SLOTS);
    }
    map->bytes = bytes;
    map->slot = slot;
    map->descriptor = descriptor;
    return SA_OK;
}

sa_status sa_file_map_open(sa_file_map *map, const char *path, sa_error *err)
{
    *map = (sa_file_map){.bytes = NULL, .slot = -1, .descriptor = -1};
    int descriptor = -1;
    struct stat info;
    SA_TRY(open_for_reading(path, &descriptor, &info, err));
    sa_status status = SA_OK;
    if (!S_ISREG(info.st_mode)) {
        status = sa_fail(err, SA_BAD_INPUT, path, "name a file", "is a pipe, and a file is needed");
    } else if (info.st_size > 0) {
        map->size = (size_t)info.st_size;
        status = map_descriptor(map, descriptor, path, err);
    }
    snprintf(map->path, sizeof map->path, "%s", path);
    if (map->bytes == NULL) {
        map->size = 0;
        close(descriptor);
    }
    return status;
}

void sa_file_map_close(sa_file_map *map)
{
    if (map->bytes != NULL) {
        map_slot *slot = &guard.slots[map->slot];
        atomic_store_explicit(&slot->state, SLOT_TAKEN, memory_order_release);
        munmap((void *)(uintptr_t)map->bytes, map->size);
        close(map->descriptor);
        atomic_store_explicit(&slot->state, SLOT_FREE, memory_order_release);
    }
    map->bytes = NULL;
    map->size = 0;
}

sa_status sa_file_map_check(const sa_file_map *map, sa_error *err)
{
    if (map->bytes == NULL) {
        return SA_OK;
    }
    /*
     * The size counts too: the rest of the page in which a file now ends reads as zeros and raises no SIGBUS.
     */
    struct stat info;
    bool shorter = fstat(map->descriptor, &info) != 0 || (uintmax_t)info.st_size < map->size;
    if (shorter || atomic_load_explicit(&guard.slots[map->slot].cut, memory_order_acquire)) {
        return sa_fail(err, SA_BAD_INPUT, map->path,
                       "leave the file alone while it is in use, and start again",
                       "was cut short, or could not be read, while it was in use");
    }
    return SA_OK;
}

void sa_file_map_release(const sa_file_map *map, size_t begin, size_t end)
{
    if (map->bytes == NULL || end > map->size || begin >= end) {
        return;
    }
    /* Whole pages only: those at the edges may hold something that is still needed. */
    size_t page = guard.page;
    size_t first = (begin + page - 1) / page * page;
    size_t last = end == map->size ? end : end / page * page;
    if (first < last) {
        madvise((void *)((uintptr_t)map->bytes + first), last - first, MADV_DONTNEED);
    }
}

/* -- Writing -- */

/*
 * Where the bytes go in the end: a link is followed, so that it stays a link. *direct: `path` is a device or
 * a pipe, which a rename would replace by a plain file.
 */
static sa_status find_target(sa_file_writer *writer, const char *path, bool *direct, sa_error *err)
{
    char resolved[PATH_MAX];
    struct stat info;
    *direct = false;
    const char *target = path;
    if (lstat(path, &info) == 0) {
        if (S_ISLNK(info.st_mode)) {
            if (realpath(path, resolved) == NULL || stat(resolved, &info) != 0) {
                return sa_fail_errno(err, path, "is a link that leads nowhere");
            }
            target = resolved;
        }
        if (S_ISDIR(info.st_mode)) {
            return sa_fail(err, SA_BAD_INPUT, path, "name a file", "is a directory");
        }
        *direct = !S_ISREG(info.st_mode);
    }
    if (strlen(target) >= sizeof writer->path) {
        return sa_fail(err, SA_BAD_INPUT, path, "use a shorter path", "the path is too long");
    }
    strcpy(writer->path, target);
    return SA_OK;
}

/* Makes a new file beside the target, with the mode that any new file gets. */
static int open_temporary(sa_file_writer *writer)
{
    enum { TRIES = 1000 };
    int descriptor = -1;
    for (int i = 0; i < TRIES && descriptor < 0; i++) {
        snprintf(writer->temporary, sizeof writer->temporary, "%s.%ld-%d.tmp", writer->path, (long)getpid(),
                 i);
        descriptor = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor < 0 && errno != EEXIST) {
            break;
        }
    }
    if (descriptor < 0) {
        writer->temporary[0] = '\0';
    }
    return descriptor;
}

sa_status sa_file_writer_open(sa_file_writer *writer, const char *path, sa_error *err)
{
    *writer = (sa_file_writer){0};
    if (strcmp(path, "-") == 0) {
        writer->stream = stdout;
        return SA_OK;
    }
    if (path[0] == '\0') {
        return sa_fail(err, SA_BAD_INPUT, NULL, "name a file", "an empty name cannot be written to");
    }
    bool direct;
    SA_TRY(find_target(writer, path, &direct, err));
    int descriptor = direct ? open(writer->path, O_WRONLY | O_CLOEXEC | O_NOCTTY) : open_temporary(writer);
    if (descriptor < 0) {
        return sa_fail_errno(err, path, "cannot write");
    }
    writer->stream = fdopen(descriptor, "wb");
    if (writer->stream == NULL) {
        sa_status status = sa_fail_errno(err, path, "cannot write");
        close(descriptor);
        if (!direct) {
            unlink(writer->temporary);
        }
        return status;
    }
    return SA_OK;
}

void sa_file_writer_abandon(sa_file_writer *writer)
{
    if (writer->stream != NULL && writer->stream != stdout) {
        fclose(writer->stream);
    }
    if (writer->temporary[0] != '\0') {
        unlink(writer->temporary);
    }
    *writer = (sa_file_writer){0};
}

/* Pushes out what stdio holds. An error of an earlier write left its mark in the stream but no reason. */
static bool flush_all(FILE *stream)
{
    errno = 0;
    bool flushed = fflush(stream) == 0;
    return flushed && !ferror(stream);
}

/*
 * The new name must reach the disk, too. Where a directory cannot be opened or synced there is nothing to do.
 */
static void sync_directory_of(const char *path)
{
    char directory[sizeof((sa_file_writer *)0)->path];
    snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash == NULL) {
        strcpy(directory, ".");
    } else {
        slash[slash == directory] = '\0'; /* keeps the slash of "/" */
    }
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        fsync(descriptor);
        close(descriptor);
    }
}

/* errno 0 stands for a write that failed earlier. */
static sa_status fail_to_write(sa_file_writer *writer, const char *what, sa_error *err)
{
    const char *name = writer->path[0] != '\0' ? writer->path : "standard output";
    sa_status status = errno != 0 ? sa_fail_errno(err, name, what)
                                  : sa_fail(err, SA_IO, name, "is there space on the disk?", "%s", what);
    sa_file_writer_abandon(writer);
    return status;
}

sa_status sa_file_writer_commit(sa_file_writer *writer, sa_error *err)
{
    SA_ASSERT(writer->stream != NULL);
    if (!flush_all(writer->stream)) {
        return fail_to_write(writer, "cannot write", err);
    }
    if (writer->temporary[0] == '\0') { /* standard output, a pipe or a device: nothing to rename */
        sa_file_writer_abandon(writer);
        return SA_OK;
    }
    if (fsync(fileno(writer->stream)) != 0) {
        return fail_to_write(writer, "cannot sync", err);
    }
    int closed = fclose(writer->stream);
    writer->stream = NULL;
    if (closed != 0) {
        return fail_to_write(writer, "cannot write", err);
    }
    if (rename(writer->temporary, writer->path) != 0) {
        return fail_to_write(writer, "cannot rename the new file into place", err);
    }
    sync_directory_of(writer->path);
    *writer = (sa_file_writer){0};
    return SA_OK;
}

sa_status sa_file_write(const char *path, const void *bytes, size_t size, sa_error *err)
{
    sa_file_writer writer;
    SA_TRY(sa_file_writer_open(&writer, path, err));
    fwrite(bytes, 1, size, writer.stream); /* commit sees whether it worked */
    return sa_file_writer_commit(&writer, err);
}
