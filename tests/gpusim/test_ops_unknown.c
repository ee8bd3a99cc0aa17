/* What the simulator doesn't know is refused when the module is loaded, with its line and its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/gpusim/harness.h"

/* Loads a kernel with one instruction, on line 8, in a child; its stderr goes to `said`. Returns its status.
 */
static int load(const char *instruction, char *said, size_t size)
{
    int ends[2];
    char text[1024];
    size_t length = 0;
    snprintf(text, sizeof text,
             ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k()\n{\n"
             ".reg .b32 %%r<9>; .reg .b64 %%d<9>; .reg .b16 %%h<9>; .reg .pred %%p<9>;\n"
             "mov.u32 %%r1, %%tid.x;\n%s\nret;\n}\n",
             instruction);
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        gpu_open_text(text);
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t n; length + 1 < size && (n = read(ends[0], said + length, size - 1 - length)) > 0;) {
        length += (size_t)n;
    }
    said[length] = '\0';
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

static void test_known(void **state)
{
    (void)state;
    char said[2048];
    assert_int_equal(load("add.u32 %r2, %r1, 1;", said, sizeof said), 0);
    assert_string_equal(said, "");
}

static void test_unknown(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name; /* what the message must hold */
    } rows[] = {
        {"frobnicate.u32 %r2, %r1;", "frobnicate"},
        {"add.f8 %r2, %r1, %r1;", "add.f8"},
        {"add.frob.u32 %r2, %r1, %r1;", "add.frob.u32"},
        {"cvt.rn.frob.f32.s32 %r2, %r1;", "cvt.rn.frob.f32.s32"},
        {"shl.s32 %r2;", "shl"},
        {"mul.u32 %r2, %r1, %r1, %r1;", "mul"},
        {"mul.lo.u32 %r2, %r1, %r1, %r1;", "mul"},
        {"mul.u32 %r2, %r1, %r1;", ".lo"},
        {"mad.lo.hi.u32 %r2, %r1, %r1, %r1;", ".lo"},
        {"mad.lo.u32 %r2, %r1, %r1;", "mad"},
        {"add.u32 %r2, %r1;", "add"},
        {"add.u32 %r2, %r1, %r1, %r1;", "add"},
        {"fma.rn.f32 %r2, %r1, %r1;", "fma"},
        {"ex2.approx.f32 %r2, %r1, %r1;", "ex2"},
        {"bfi.b32 %r2, %r1, %r1, %r1;", "bfi"},
        {"lop3.b32 %r2, %r1, %r1, %r1;", "lop3"},
        {"selp.b32 %r2, %r1, %r1;", "selp"},
        {"cvt.u32.u16 %r2;", "cvt"},
        {"mov.u32 %r2;", "mov"},
        {"ld.global.u32 %r2;", "ld"},
        {"ret %r2;", "ret"},
        {"setp.almost.s32 %p1, %r1, 1;", "setp.almost.s32"},
        {"shfl.sync.sideways.b32 %r2, %r1, 1, 31, -1;", "shfl.sync.sideways.b32"},
        {"vote.sync.most.pred %p1, %p2, -1;", "vote.sync.most.pred"},
        {"atom.global.frob.u32 %r2, [%d1], %r1;", "atom.global.frob.u32"},
        {"fma.rn.sat.f64 %d1, %d2, %d3, %d4;", "fma.rn.sat.f64"},
        {"min.sat.f32 %r2, %r1, %r1;", "min.sat.f32"},
        {"neg.u32 %r2, %r1;", "neg.u32"},
        {"dp4a.u32.f32 %r2, %r1, %r1, %r1;", "dp4a.u32.f32"},
        {"wgmma.fence.sync.aligned;", "wgmma.fence"},
        {"tex.2d.v4.f32.f32 {%r1, %r2, %r3, %r4}, [%d1, {%r1, %r2}];", "tex.2d"},
        {"mov.u32 %r2, %nosuch;", "%nosuch"},
        {"bra nowhere;", "nowhere"},
    };
    char said[2048];
    int wrong = 0;
    for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        const int status = load(rows[n].text, said, sizeof said);
        const char *where = strstr(said, "line 8");
        if (status == 0 || where == NULL || strstr(where, rows[n].name) == NULL) {
            print_error("%s: status %d, said: %s\n", rows[n].text, status, said);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known), cmocka_unit_test(test_unknown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
