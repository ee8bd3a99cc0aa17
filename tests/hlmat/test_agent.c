/* agent.json: what it may leave out and what that means then, where its paths lead, and files that are
 * refused.
 */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/hlmat/agent.h"
#include "tests/data/scratch.h"

/* A directory with models to point at: policy, segmenter, other. */
typedef struct {
    char path[64];
    char file[128];
} folder;

static void write_text(const char *path, const char *text)
{
    sa_error err;
    if (sa_file_write(path, text, strlen(text), &err) != SA_OK) {
        fail_msg("%s: %s", err.file, err.reason);
    }
}

static int setup(void **state)
{
    static const char *const models[] = {"policy", "segmenter", "other"};
    folder *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->path, sizeof f->path, "/tmp/segagent-agent-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    snprintf(f->file, sizeof f->file, "%s/agent.json", f->path);
    for (int i = 0; i < 3; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", f->path, models[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    folder *f = *state;
    scratch_remove_all(f->path);
    free(f);
    return 0;
}

static sa_agent read_text(const folder *f, const char *text)
{
    sa_agent agent;
    sa_error err;
    write_text(f->file, text);
    if (sa_agent_read(&agent, f->path, &err) != SA_OK) {
        fail_msg("%s: %s", text, err.reason);
    }
    return agent;
}

static void expect_path(const folder *f, const char *got, const char *name)
{
    char want[256];
    snprintf(want, sizeof want, "%s/%s", f->path, name);
    assert_string_equal(got, want);
}

static void test_defaults(void **state)
{
    const folder *f = *state;
    sa_agent a = read_text(f, "{}");
    assert_string_equal(a.file, f->file);
    assert_string_equal(a.name, "agent");
    expect_path(f, a.policy, "policy");
    expect_path(f, a.segmenter, "segmenter");
    assert_string_equal(a.template, "plain");
    assert_string_equal(a.prompt, "{image}{text}");
    assert_memory_equal(a.overlay.color, ((const uint8_t[]){0, 255, 0}), 3);
    assert_true(a.overlay.alpha == 0.5);
    assert_int_equal(a.overlay.rounding, SA_IMAGE_TRUNCATE);
    assert_int_equal(a.jpeg_quality, 0);
    assert_string_equal(a.action.positive, "Positive point:");
    assert_string_equal(a.action.negative, "Negative point:");
    assert_true(a.action.row_first);
    assert_int_equal(a.action.scale, 1000);
    assert_int_equal(a.action.rounding, SA_ROUND_HALF_EVEN);
    assert_false(a.judges);
    assert_int_equal(a.steps, 7);
    assert_int_equal(a.candidates, 1);
    assert_string_equal(a.search, "greedy");
    assert_true(a.temperature == 0 && a.mask_threshold == 0 && a.previous_mask);
}

static void test_prm_defaults(void **state)
{
    const folder *f = *state;
    sa_agent a = read_text(f, "{\"prm\": {}}");
    assert_true(a.judges);
    assert_string_equal(a.prm.prefix, "Current IOU:");
    assert_int_equal(a.prm.scale, 100);
    assert_int_equal(a.prm.decimals, 0);
    assert_string_equal(a.search, "prm-stop");
    assert_string_equal(read_text(f, "{\"prm\": {}, \"search\": \"mcts\"}").search, "mcts");
    a = read_text(f, "{\"prm\": null}");
    assert_false(a.judges);
    assert_string_equal(a.search, "greedy");
}

static void test_all_given(void **state)
{
    const folder *f = *state;
    sa_agent a = read_text(
        f,
        "{\"name\": \"N\", \"policy\": \"other\", \"segmenter\": \"./other/../segmenter\", \"template\": "
        "\"llava_v1\","
        "\"prompt\": \"a {image} b {text} c {text}\","
        "\"overlay\": {\"color\": [1, 2, 3], \"alpha\": 1, \"rounding\": \"nearest\", \"jpeg_quality\": 75},"
        "\"action\": {\"positive\": \"add\", \"negative\": \"cut\", \"order\": \"col,row\", \"scale\": 100,"
        "\"rounding\": \"floor\"}, \"prm\": {\"prefix\": \"IoU\", \"scale\": 1, \"decimals\": 2}, \"steps\": "
        "11,"
        "\"candidates\": 3, \"search\": \"beam\", \"temperature\": 0.5, \"mask_threshold\": 0.49,"
        "\"previous_mask\": false}");
    assert_string_equal(a.name, "N");
    expect_path(f, a.policy, "other");
    expect_path(f, a.segmenter, "./other/../segmenter");
    assert_string_equal(a.template, "llava_v1");
    assert_string_equal(a.prompt, "a {image} b {text} c {text}");
    assert_memory_equal(a.overlay.color, ((const uint8_t[]){1, 2, 3}), 3);
    assert_true(a.overlay.alpha == 1 && a.overlay.rounding == SA_IMAGE_NEAREST && a.jpeg_quality == 75);
    assert_string_equal(a.action.positive, "add");
    assert_string_equal(a.action.negative, "cut");
    assert_true(!a.action.row_first && a.action.scale == 100 && a.action.rounding == SA_ROUND_FLOOR);
    assert_true(a.judges && a.prm.scale == 1 && a.prm.decimals == 2);
    assert_string_equal(a.prm.prefix, "IoU");
    assert_true(a.steps == 11 && a.candidates == 3 && a.temperature == 0.5 && a.mask_threshold == 0.49);
    assert_string_equal(a.search, "beam");
    assert_false(a.previous_mask);
}

/* null is as good as nothing. */
static void test_nulls(void **state)
{
    sa_agent a =
        read_text(*state, "{\"name\": null, \"policy\": null, \"template\": null, \"steps\": null,"
                          "\"overlay\": {\"color\": null, \"jpeg_quality\": null}, \"temperature\": null}");
    assert_string_equal(a.name, "agent");
    assert_true(a.steps == 7 && a.jpeg_quality == 0 && a.overlay.color[1] == 255);
}

static void test_paths(void **state)
{
    const folder *f = *state;
    char text[256], here[1024];
    sa_agent a, by_file;
    sa_error err;
    snprintf(text, sizeof text, "{\"policy\": \"%s/other\"}", f->path);
    a = read_text(f, text);
    expect_path(f, a.policy, "other");
    assert_int_equal(sa_agent_read(&by_file, f->file, &err), SA_OK);
    assert_string_equal(by_file.file, f->file);
    expect_path(f, by_file.policy, "other");
    /* By a name without a directory. */
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(f->path), 0);
    sa_status status = sa_agent_read(&by_file, "agent.json", &err);
    bool there = status == SA_OK && sa_file_exists(by_file.segmenter);
    assert_int_equal(chdir(here), 0);
    assert_true(there);
}

/* A template beside agent.json goes before a shipped one; what is no file stays a name. */
static void test_template(void **state)
{
    const folder *f = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/mine.json", f->path);
    write_text(path, "{}");
    assert_string_equal(read_text(f, "{\"template\": \"mine.json\"}").template, path);
    assert_string_equal(read_text(f, "{\"template\": \"vicuna\"}").template, "vicuna");
    snprintf(path, sizeof path, "%s/vicuna", f->path);
    write_text(path, "{}");
    assert_string_equal(read_text(f, "{\"template\": \"vicuna\"}").template, path);
}

/* -- What is refused -- */

static const char *const bad_files[][2] = {
    /* the file, and what the reason names */
    {"", ""},
    {"[]", "object"},
    {"{", ""},
    {"{\"steps\": 7, \"steps\": 8}", "steps"},
    {"{\"stepz\": 7}", "stepz"},
    {"{\"overlay\": {\"colour\": [0, 0, 0]}}", "colour"},
    {"{\"action\": {\"words\": 1}}", "words"},
    {"{\"prm\": {\"suffix\": \"x\"}}", "suffix"},
    {"{\"overlay\": []}", "overlay"},
    {"{\"action\": \"x\"}", "action"},
    {"{\"prm\": true}", "prm"},
    {"{\"name\": 1}", "name"},
    {"{\"name\": \"0123456789012345678901234567890123456789012345678901234567890123\"}", "63"},
    {"{\"policy\": \"nowhere\"}", "nowhere"},
    {"{\"policy\": \"/nowhere/at/all\"}", "/nowhere/at/all"},
    {"{\"segmenter\": \"nowhere\"}", "nowhere"},
    {"{\"prompt\": \"{text}\"}", "{image}"},
    {"{\"prompt\": \"{image}\"}", "{text}"},
    {"{\"prompt\": \"{image}{text}{image}\"}", "{image}"},
    {"{\"overlay\": {\"color\": [0, 255]}}", "color"},
    {"{\"overlay\": {\"color\": [0, 255, 0, 0]}}", "color"},
    {"{\"overlay\": {\"color\": [0, 256, 0]}}", "color"},
    {"{\"overlay\": {\"color\": [0, -1, 0]}}", "color"},
    {"{\"overlay\": {\"color\": [0, 0.5, 0]}}", "color"},
    {"{\"overlay\": {\"color\": \"green\"}}", "color"},
    {"{\"overlay\": {\"alpha\": 1.1}}", "alpha"},
    {"{\"overlay\": {\"alpha\": -0.1}}", "alpha"},
    {"{\"overlay\": {\"rounding\": \"floor\"}}", "rounding"},
    {"{\"overlay\": {\"jpeg_quality\": 0}}", "jpeg_quality"},
    {"{\"overlay\": {\"jpeg_quality\": 101}}", "jpeg_quality"},
    {"{\"action\": {\"positive\": \"\"}}", "positive"},
    {"{\"action\": {\"negative\": \" \"}}", "negative"},
    {"{\"action\": {\"positive\": \" Positive point:\"}}", "positive"},
    {"{\"action\": {\"positive\": \"point\", \"negative\": \"point\"}}", "told apart"},
    {"{\"action\": {\"positive\": \"point\", \"negative\": \"no point\"}}", "told apart"},
    {"{\"action\": {\"positive\": \"nopoint\", \"negative\": \"n o p\"}}", "told apart"},
    {"{\"action\": {\"positive\": \"(\"}}", "positive"},
    {"{\"action\": {\"positive\": \"add,\"}}", "positive"},
    {"{\"action\": {\"negative\": \"1\"}}", "negative"},
    {"{\"action\": {\"positive\": \"Positive\"}, \"prm\": {\"prefix\": \"Positive IOU\"}}", "told apart"},
    {"{\"action\": {\"negative\": \"IOU: cut\"}, \"prm\": {\"prefix\": \"IOU:\"}}", "told apart"},
    {"{\"action\": {\"order\": \"x,y\"}}", "order"},
    {"{\"action\": {\"scale\": 1}}", "scale"},
    {"{\"action\": {\"scale\": 100001}}", "scale"},
    {"{\"action\": {\"scale\": 99.5}}", "scale"},
    {"{\"action\": {\"rounding\": \"trunc\"}}", "rounding"},
    {"{\"prm\": {\"prefix\": \"\"}}", "prefix"},
    {"{\"prm\": {\"prefix\": \"\\t\"}}", "prefix"},
    {"{\"prm\": {\"scale\": 10}}", "prm"},
    {"{\"prm\": {\"scale\": 1}}", "prm"},
    {"{\"prm\": {\"decimals\": 7}}", "decimals"},
    {"{\"prm\": {\"decimals\": -1}}", "decimals"},
    {"{\"steps\": 0}", "steps"},
    {"{\"steps\": 1001}", "steps"},
    {"{\"candidates\": 0}", "candidates"},
    {"{\"candidates\": 257}", "candidates"},
    {"{\"search\": \"bfs\"}", "bfs"},
    {"{\"search\": \"\"}", "search"},
    {"{\"temperature\": -1}", "temperature"},
    {"{\"temperature\": 101}", "temperature"},
    {"{\"temperature\": \"hot\"}", "temperature"},
    {"{\"mask_threshold\": \"0\"}", "mask_threshold"},
    {"{\"previous_mask\": 1}", "previous_mask"},
    {"{\"name\": \"a\\u0000b\"}", ""},
};

static void test_bad_files(void **state)
{
    const folder *f = *state;
    for (size_t i = 0; i < sizeof bad_files / sizeof bad_files[0]; i++) {
        sa_agent agent;
        sa_error err = {0};
        write_text(f->file, bad_files[i][0]);
        sa_status status = sa_agent_read(&agent, f->path, &err);
        if (status != SA_BAD_INPUT || strstr(err.reason, bad_files[i][1]) == NULL ||
            strcmp(err.file, f->file) != 0) {
            fail_msg("%s: status %d, %s: %s", bad_files[i][0], (int)status, err.file, err.reason);
        }
    }
}

static void test_not_there(void **state)
{
    const folder *f = *state;
    char path[2000];
    sa_agent agent;
    sa_error err = {0};
    snprintf(path, sizeof path, "%s/other", f->path); /* a directory without an agent.json */
    assert_true(sa_agent_read(&agent, path, &err) != SA_OK);
    assert_non_null(strstr(err.file, "other/agent.json"));
    assert_true(sa_agent_read(&agent, "/nowhere", &err) != SA_OK);
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(sa_agent_read(&agent, path, &err), SA_BAD_INPUT);
}

/* The agent that is shipped. */
static void test_tiny(void **state)
{
    (void)state;
    sa_agent agent;
    sa_error err = {0};
    assert_int_equal(sa_agent_read(&agent, "weights_tools/tiny/agent", &err), SA_OK);
    assert_true(agent.judges && !agent.previous_mask);
    assert_string_equal(agent.policy, "weights_tools/tiny/agent/policy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),  cmocka_unit_test(test_prm_defaults),
        cmocka_unit_test(test_all_given), cmocka_unit_test(test_nulls),
        cmocka_unit_test(test_paths),     cmocka_unit_test(test_template),
        cmocka_unit_test(test_bad_files), cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_tiny),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
