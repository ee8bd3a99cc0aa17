/*
 * Files that shrink while they are mapped, disks that are full, directories that may not be written, and the
 * plain ways.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "tests/check.h"

/* -- A directory of its own for each test -- */

typedef struct {
    char path[64];
} scratch;

static int scratch_make(void **state)
{
    scratch *s = malloc(sizeof *s);
    strcpy(s->path, "/tmp/segagent-test-XXXXXX");
    if (mkdtemp(s->path) == NULL) {
        return -1;
    }
    *state = s;
    return 0;
}

static void remove_all(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            char child[1024];
            snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
            remove_all(child);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
    remove(path);
}

static int scratch_remove(void **state)
{
    scratch *s = *state;
    remove_all(s->path);
    free(s);
    return 0;
}

/* Each call's answer stays good until the fourth call after it. */
static const char *in_scratch(void **state, const char *name)
{
    static char paths[4][512];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", ((scratch *)*state)->path, name);
    return path;
}

static int count_entries(const char *path)
{
    DIR *directory = opendir(path);
    assert_non_null(directory);
    int count = -2; /* "." and ".." */
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

static void put(const char *path, const char *text)
{
    sa_error err;
    assert_int_equal(sa_file_write(path, text, strlen(text), &err), SA_OK);
}

static void check_content(const char *path, const char *want)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    sa_error err;
    assert_int_equal(sa_file_read(path, 1 << 20, &bytes, &size, &err), SA_OK);
    assert_int_equal(size, strlen(want));
    assert_memory_equal(bytes, want, size + 1); /* with the zero byte */
    free(bytes);
}

/* -- Reading -- */

static sa_status read_limited(const char *path, size_t limit, sa_error *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    sa_status status = sa_file_read(path, limit, &bytes, &size, err);
    assert_true((status == SA_OK) == (bytes != NULL));
    free(bytes);
    return status;
}

static void test_read_and_limits(void **state)
{
    const char *path = in_scratch(state, "a");
    sa_error err;
    put(path, "");
    check_content(path, "");
    assert_int_equal(read_limited(path, 0, &err), SA_OK);
    put(path, "hello");
    check_content(path, "hello");
    assert_int_equal(read_limited(path, 5, &err), SA_OK);
    assert_int_equal(read_limited(path, SIZE_MAX, &err), SA_OK);
    assert_int_equal(read_limited(path, 4, &err), SA_NO_ROOM);
    assert_string_equal(err.file, path);
    assert_non_null(strstr(err.reason, "larger than the 4 bytes"));
}

static void test_read_what_is_no_file(void **state)
{
    sa_error err;
    assert_int_equal(read_limited(in_scratch(state, "none"), 9, &err), SA_BAD_INPUT);
    assert_string_equal(err.reason, "cannot open: No such file or directory");
    assert_int_equal(read_limited(((scratch *)*state)->path, 9, &err), SA_BAD_INPUT);
    assert_string_equal(err.reason, "is a directory");
    assert_int_equal(read_limited("/dev/zero", 9, &err), SA_BAD_INPUT);
    assert_int_equal(read_limited("", 9, &err), SA_BAD_INPUT);
    char name[5000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(read_limited(name, 9, &err), SA_BAD_INPUT);
}

/* A file whose size is not known beforehand: /proc says 0. */
static void test_read_proc(void **state)
{
    (void)state;
    sa_error err;
    assert_int_equal(read_limited("/proc/self/status", 1 << 20, &err), SA_OK);
    assert_int_equal(read_limited("/proc/self/status", 10, &err), SA_NO_ROOM);
}

typedef struct {
    int descriptor;
    size_t size;
} feeder;

/* In odd pieces, so that one read does not get it all. */
static void *feed(void *argument)
{
    feeder *f = argument;
    char piece[997];
    memset(piece, 'x', sizeof piece);
    while (f->size > 0) {
        size_t want = f->size < sizeof piece ? f->size : sizeof piece;
        ssize_t wrote = write(f->descriptor, piece, want);
        if (wrote <= 0) {
            break;
        }
        f->size -= (size_t)wrote;
    }
    close(f->descriptor);
    return NULL;
}

/* What `path` gives when a pipe of `size` bytes stands behind it. */
static sa_status read_fed(const char *path, int descriptor, size_t size, size_t limit, size_t *got,
                          sa_error *err)
{
    feeder f = {descriptor, size};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, feed, &f), 0);
    unsigned char *bytes = NULL;
    *got = 0;
    sa_status status = sa_file_read(path, limit, &bytes, got, err);
    if (status == SA_OK) {
        assert_int_equal(bytes[*got], 0);
        free(bytes);
        assert_int_equal(pthread_join(thread, NULL), 0);
    } else {
        pthread_join(thread, NULL); /* its pipe was closed, or took everything */
    }
    return status;
}

static void test_read_standard_input(void **state)
{
    (void)state;
    int saved = dup(STDIN_FILENO);
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 300000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
        close(ends[0]);
        size_t got;
        sa_error err;
        assert_int_equal(read_fed("-", ends[1], sizes[i], sizes[i], &got, &err), SA_OK);
        assert_int_equal(got, sizes[i]);
    }
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    size_t got;
    sa_error err;
    assert_int_equal(read_fed("-", ends[1], 5000, 4999, &got, &err), SA_NO_ROOM);
    assert_string_equal(err.file, "standard input");
    dup2(saved, STDIN_FILENO);
    close(saved);
}

typedef struct {
    const char *path;
} fifo_writer;

static void *write_fifo(void *argument)
{
    int descriptor = open(((fifo_writer *)argument)->path, O_WRONLY);
    ssize_t wrote = write(descriptor, "piped", 5);
    (void)wrote;
    close(descriptor);
    return NULL;
}

static void test_read_named_pipe(void **state)
{
    const char *path = in_scratch(state, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    fifo_writer writer = {path};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_fifo, &writer), 0);
    check_content(path, "piped");
    pthread_join(thread, NULL);
}

/* -- Names -- */

static void test_join(void **state)
{
    (void)state;
    char out[8];
    sa_error err;
    assert_int_equal(sa_file_join(out, sizeof out, "a", "b", &err), SA_OK);
    assert_string_equal(out, "a/b");
    assert_int_equal(sa_file_join(out, sizeof out, "a/", "b", &err), SA_OK);
    assert_string_equal(out, "a/b");
    assert_int_equal(sa_file_join(out, sizeof out, "", "b", &err), SA_OK);
    assert_string_equal(out, "b");
    assert_int_equal(sa_file_join(out, sizeof out, "abc", "def", &err), SA_OK);
    assert_int_equal(sa_file_join(out, sizeof out, "abc", "defg", &err), SA_BAD_INPUT);
}

static void test_make_directory(void **state)
{
    sa_error err;
    const char *deep = in_scratch(state, "a/b//c/");
    assert_int_equal(sa_file_make_directory(deep, &err), SA_OK);
    assert_int_equal(sa_file_make_directory(deep, &err), SA_OK);
    assert_true(sa_file_is_directory(deep));
    const char *file = in_scratch(state, "file");
    put(file, "x");
    assert_true(sa_file_exists(file));
    assert_false(sa_file_is_directory(file));
    assert_false(sa_file_exists(in_scratch(state, "none")));
    assert_int_equal(sa_file_make_directory(file, &err), SA_BAD_INPUT);
    assert_int_equal(sa_file_make_directory(in_scratch(state, "file/below"), &err), SA_BAD_INPUT);
    assert_int_equal(sa_file_make_directory("", &err), SA_BAD_INPUT);
    assert_int_equal(sa_file_make_directory("/proc/none", &err), SA_IO);
}

/* -- Mapped files -- */

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* A file of `size` bytes, all 'x'. */
static const char *make_file(void **state, const char *name, size_t size)
{
    const char *path = in_scratch(state, name);
    char *bytes = malloc(size + 1);
    assert_non_null(bytes);
    memset(bytes, 'x', size);
    sa_error err;
    assert_int_equal(sa_file_write(path, bytes, size, &err), SA_OK);
    free(bytes);
    return path;
}

static void test_map(void **state)
{
    size_t size = 3 * page_size() + 5;
    const char *path = make_file(state, "m", size);
    sa_file_map map;
    sa_error err;
    assert_int_equal(sa_file_map_open(&map, path, &err), SA_OK);
    assert_int_equal(map.size, size);
    assert_string_equal(map.path, path);
    sa_file_map_release(&map, 0, size);
    sa_file_map_release(&map, 10, 20);
    sa_file_map_release(&map, 20, 10);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(map.bytes[i], 'x');
    }
    assert_int_equal(sa_file_map_check(&map, &err), SA_OK);
    sa_file_map_close(&map);
    sa_file_map_close(&map);
}

static void test_map_what_cannot_be_mapped(void **state)
{
    sa_file_map map;
    sa_error err;
    assert_int_equal(sa_file_map_open(&map, in_scratch(state, "none"), &err), SA_BAD_INPUT);
    sa_file_map_close(&map);
    assert_int_equal(sa_file_map_open(&map, ((scratch *)*state)->path, &err), SA_BAD_INPUT);
    assert_int_equal(sa_file_map_open(&map, make_file(state, "empty", 0), &err), SA_OK);
    assert_null(map.bytes);
    assert_int_equal(map.size, 0);
    assert_int_equal(sa_file_map_check(&map, &err), SA_OK);
    sa_file_map_release(&map, 0, 0);
    sa_file_map_close(&map);
}

static void test_map_cut_short(void **state)
{
    size_t page = page_size();
    const char *path = make_file(state, "cut", 4 * page);
    const char *other_path = make_file(state, "other", 4 * page);
    sa_file_map map, other;
    sa_error err;
    assert_int_equal(sa_file_map_open(&map, path, &err), SA_OK);
    assert_int_equal(sa_file_map_open(&other, other_path, &err), SA_OK);
    assert_int_equal(truncate(path, (off_t)page), 0);
    errno = 123;
    for (size_t i = 0; i < 4 * page; i++) {
        assert_int_equal(map.bytes[i], i < page ? 'x' : 0);
    }
    assert_int_equal(errno, 123);
    assert_int_equal(sa_file_map_check(&map, &err), SA_BAD_INPUT);
    assert_string_equal(err.file, path);
    /* Long enough again: what was read is wrong all the same. */
    assert_int_equal(truncate(path, (off_t)(4 * page)), 0);
    assert_int_equal(sa_file_map_check(&map, &err), SA_BAD_INPUT);
    assert_int_equal(sa_file_map_check(&other, &err), SA_OK);
    sa_file_map_close(&map);
    sa_file_map_close(&other);
    /* The slot's next user starts with a clean flag. */
    assert_int_equal(sa_file_map_open(&map, path, &err), SA_OK);
    assert_int_equal(sa_file_map_check(&map, &err), SA_OK);
    sa_file_map_close(&map);
}

/* The end moves within its page: no SIGBUS tells of it. */
static void test_map_cut_within_a_page(void **state)
{
    const char *path = make_file(state, "cut", 100);
    sa_file_map map;
    sa_error err;
    assert_int_equal(sa_file_map_open(&map, path, &err), SA_OK);
    assert_int_equal(truncate(path, 50), 0);
    assert_int_equal(map.bytes[99], 0);
    assert_int_equal(sa_file_map_check(&map, &err), SA_BAD_INPUT);
    sa_file_map_close(&map);
}

static void *sum_bytes(void *argument)
{
    const sa_file_map *map = argument;
    size_t sum = 0;
    for (size_t i = 0; i < map->size; i += 64) {
        sum += map->bytes[i];
    }
    return (void *)sum;
}

static void test_map_cut_under_threads(void **state)
{
    enum { THREADS = 4, PAGES = 200 };
    const char *path = make_file(state, "cut", PAGES * page_size());
    sa_file_map map;
    sa_error err;
    assert_int_equal(sa_file_map_open(&map, path, &err), SA_OK);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, sum_bytes, &map), 0);
    }
    assert_int_equal(truncate(path, 1), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(sa_file_map_check(&map, &err), SA_BAD_INPUT);
    sa_file_map_close(&map);
}

/* The table is of fixed size: the last place works, the next is refused, and all come back. */
static void test_map_table_full(void **state)
{
    enum { SLOTS = 1024 };
    const char *path = make_file(state, "m", 10);
    static sa_file_map maps[SLOTS + 1];
    sa_error err;
    int opened = 0;
    sa_status status = SA_OK;
    while (opened <= SLOTS && (status = sa_file_map_open(&maps[opened], path, &err)) == SA_OK) {
        opened++;
    }
    /* With a small limit of open files that one comes first. */
    assert_true((status == SA_NO_ROOM && opened == SLOTS) || (status == SA_IO && opened < SLOTS));
    for (int i = 0; i < opened; i++) {
        sa_file_map_close(&maps[i]);
    }
    assert_int_equal(sa_file_map_open(&maps[0], path, &err), SA_OK);
    sa_file_map_close(&maps[0]);
}

static volatile sig_atomic_t foreign_signals;

static void on_foreign(int number)
{
    (void)number;
    foreign_signals++;
}

static void die_of_default_action(const char *path)
{
    sa_file_map map;
    signal(SIGBUS, SIG_DFL);
    if (sa_file_map_open(&map, path, NULL) == SA_OK) {
        raise(SIGBUS);
    }
    _exit(0);
}

static void touch_foreign_map(const char *path, const char *foreign)
{
    sa_file_map map;
    signal(SIGBUS, SIG_DFL);
    int descriptor = open(foreign, O_RDWR);
    volatile char *bytes = mmap(NULL, 1, PROT_READ, MAP_SHARED, descriptor, 0);
    if (sa_file_map_open(&map, path, NULL) == SA_OK && bytes != MAP_FAILED && ftruncate(descriptor, 0) == 0) {
        _exit(bytes[0] == 'x');
    }
    _exit(2);
}

static int signal_that_ended(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_foreign_bus_errors_are_passed_on(void **state)
{
    const char *path = make_file(state, "m", 10);
    const char *foreign = make_file(state, "f", 10);
    sa_file_map map;
    sa_error err;
    void (*before)(int) = signal(SIGBUS, on_foreign);
    assert_int_equal(sa_file_map_open(&map, path, &err), SA_OK);
    raise(SIGBUS);
    assert_int_equal(foreign_signals, 1);
    assert_int_equal(sa_file_map_check(&map, &err), SA_OK);
    sa_file_map_close(&map);
    signal(SIGBUS, SIG_IGN);
    assert_int_equal(sa_file_map_open(&map, path, &err), SA_OK);
    raise(SIGBUS); /* ignored, as it would be without us */
    sa_file_map_close(&map);
    signal(SIGBUS, before);

    pid_t child = fork();
    if (child == 0) {
        die_of_default_action(path);
    }
    assert_int_equal(signal_that_ended(child), SIGBUS);
    child = fork();
    if (child == 0) {
        touch_foreign_map(path, foreign);
    }
    assert_int_equal(signal_that_ended(child), SIGBUS);
}

/* -- Writing -- */

static void test_write_is_atomic(void **state)
{
    const char *path = in_scratch(state, "out");
    put(path, "old");
    sa_file_writer writer;
    sa_error err;
    assert_int_equal(sa_file_writer_open(&writer, path, &err), SA_OK);
    fputs("new text", writer.stream);
    fflush(writer.stream);
    check_content(path, "old");
    assert_int_equal(sa_file_writer_commit(&writer, &err), SA_OK);
    check_content(path, "new text");
    sa_file_writer_abandon(&writer); /* nothing to do */
    check_content(path, "new text");
    assert_int_equal(count_entries(((scratch *)*state)->path), 1);
}

static void test_abandon_leaves_nothing(void **state)
{
    const char *path = in_scratch(state, "out");
    sa_file_writer writer;
    sa_error err;
    assert_int_equal(sa_file_writer_open(&writer, path, &err), SA_OK);
    fputs("half of", writer.stream);
    sa_file_writer_abandon(&writer);
    sa_file_writer_abandon(&writer);
    assert_int_equal(count_entries(((scratch *)*state)->path), 0);
}

/* Two writers of one file do not meet in one temporary file. */
static void test_two_writers(void **state)
{
    const char *path = in_scratch(state, "out");
    sa_file_writer one, two;
    sa_error err;
    assert_int_equal(sa_file_writer_open(&one, path, &err), SA_OK);
    assert_int_equal(sa_file_writer_open(&two, path, &err), SA_OK);
    fputs("one", one.stream);
    fputs("two", two.stream);
    assert_int_equal(sa_file_writer_commit(&one, &err), SA_OK);
    check_content(path, "one");
    assert_int_equal(sa_file_writer_commit(&two, &err), SA_OK);
    check_content(path, "two");
    assert_int_equal(count_entries(((scratch *)*state)->path), 1);
}

static void test_new_files_have_the_usual_mode(void **state)
{
    const char *path = in_scratch(state, "out");
    mode_t mask = umask(027);
    put(path, "x");
    umask(mask);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

static void test_links_are_followed(void **state)
{
    const char *target = in_scratch(state, "target");
    const char *link = in_scratch(state, "link");
    put(target, "old");
    assert_int_equal(symlink("target", link), 0);
    put(link, "new");
    check_content(target, "new");
    struct stat info;
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(unlink(target), 0);
    sa_error err;
    assert_int_equal(sa_file_write(link, "x", 1, &err), SA_IO); /* leads nowhere now */
}

static void test_places_that_cannot_be_written(void **state)
{
    sa_file_writer writer;
    sa_error err;
    assert_int_equal(sa_file_writer_open(&writer, ((scratch *)*state)->path, &err), SA_BAD_INPUT);
    assert_int_equal(sa_file_writer_open(&writer, "", &err), SA_BAD_INPUT);
    assert_int_equal(sa_file_writer_open(&writer, in_scratch(state, "no/such"), &err), SA_IO);
    assert_int_equal(sa_file_writer_open(&writer, "/proc/none", &err), SA_IO);
    assert_string_equal(err.file, "/proc/none");
    char name[600];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(sa_file_writer_open(&writer, name, &err), SA_BAD_INPUT);
    sa_file_writer_abandon(&writer);
}

/* Root writes anywhere, so the child first becomes somebody else. */
static void test_unwritable_directory(void **state)
{
    const char *closed = in_scratch(state, "closed");
    assert_int_equal(mkdir(closed, 0555), 0);
    assert_int_equal(chmod(((scratch *)*state)->path, 0755), 0);
    const char *path = in_scratch(state, "closed/out");
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0) {
            _exit(2);
        }
        sa_error err = {0};
        bool good = sa_file_write(path, "x", 1, &err) == SA_IO && strcmp(err.file, path) == 0 &&
                    strcmp(err.hint, "check the permissions") == 0;
        _exit(good ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* A device is written to and not replaced; what it refuses is told by commit. */
static void test_full_device(void **state)
{
    (void)state;
    sa_error err;
    assert_int_equal(sa_file_write("/dev/full", "x", 1, &err), SA_IO);
    assert_string_equal(err.file, "/dev/full");
    assert_string_equal(err.hint, "free some disk space");
    struct stat info;
    assert_int_equal(stat("/dev/full", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
    assert_int_equal(sa_file_write("/dev/null", "x", 1, &err), SA_OK);
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
}

/* An error of a write long before commit, of which only the stream's mark is left. */
static void test_early_error_is_kept(void **state)
{
    (void)state;
    sa_file_writer writer;
    sa_error err;
    assert_int_equal(sa_file_writer_open(&writer, "/dev/full", &err), SA_OK);
    setvbuf(writer.stream, NULL, _IONBF, 0);
    fputs("lost", writer.stream);
    assert_int_equal(sa_file_writer_commit(&writer, &err), SA_IO);
    assert_null(writer.stream);
}

static void test_full_disk(void **state)
{
    const char *disk = in_scratch(state, "disk");
    assert_int_equal(mkdir(disk, 0755), 0);
    if (geteuid() != 0 || mount("none", disk, "tmpfs", 0, "size=64k") != 0) {
        skip(); /* needs the right to mount */
    }
    const char *path = in_scratch(state, "disk/out");
    put(path, "old");
    static char much[1 << 20];
    sa_error err;
    sa_status status = sa_file_write(path, much, sizeof much, &err);
    check_content(path, "old");
    int entries = count_entries(disk);
    assert_int_equal(umount(disk), 0);
    assert_int_equal(status, SA_IO);
    assert_int_equal(entries, 1); /* the temporary file is gone */
}

static void test_standard_output(void **state)
{
    const char *path = in_scratch(state, "captured");
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    int descriptor = open(path, O_WRONLY | O_CREAT, 0600);
    dup2(descriptor, STDOUT_FILENO);
    close(descriptor);
    sa_error err;
    sa_status status = sa_file_write("-", "to stdout", 9, &err);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    assert_int_equal(status, SA_OK);
    check_content(path, "to stdout");
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* the feeder meets a reader that gives up early */
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(test_read_and_limits),
        IN_SCRATCH(test_read_what_is_no_file),
        IN_SCRATCH(test_read_proc),
        IN_SCRATCH(test_read_standard_input),
        IN_SCRATCH(test_read_named_pipe),
        IN_SCRATCH(test_join),
        IN_SCRATCH(test_make_directory),
        IN_SCRATCH(test_map),
        IN_SCRATCH(test_map_what_cannot_be_mapped),
        IN_SCRATCH(test_map_cut_short),
        IN_SCRATCH(test_map_cut_within_a_page),
        IN_SCRATCH(test_map_cut_under_threads),
        IN_SCRATCH(test_map_table_full),
        IN_SCRATCH(test_foreign_bus_errors_are_passed_on),
        IN_SCRATCH(test_write_is_atomic),
        IN_SCRATCH(test_abandon_leaves_nothing),
        IN_SCRATCH(test_two_writers),
        IN_SCRATCH(test_new_files_have_the_usual_mode),
        IN_SCRATCH(test_links_are_followed),
        IN_SCRATCH(test_places_that_cannot_be_written),
        IN_SCRATCH(test_unwritable_directory),
        IN_SCRATCH(test_full_device),
        IN_SCRATCH(test_early_error_is_kept),
        IN_SCRATCH(test_full_disk),
        IN_SCRATCH(test_standard_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
