/* Chat templates: the shipped ones to the letter, where pictures go, and what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/text/template.h"
#include "tests/check.h"

static sa_template *open_good(const char *name)
{
    sa_template *t = NULL;
    sa_error err;
    assert_int_equal(sa_template_open(&t, name, &err), SA_OK);
    return t;
}

/* The prompt as one text, pictures as "[0]", "[1]", ... */
static void check_prompt(const char *name, const sa_message *messages, size_t count, bool generate,
                         const char *want)
{
    sa_template *t = open_good(name);
    sa_chat_text prompt = {0};
    sa_text got = {0};
    sa_error err;
    assert_int_equal(sa_template_render(t, messages, count, generate, &prompt, &err), SA_OK);
    sa_text_append(&got, "", 0);
    for (size_t i = 0; i < prompt.count; i++) {
        const sa_chat_part *part = &prompt.parts[i];
        char number[32];
        snprintf(number, sizeof number, "[%zu]", part->number);
        if (part->image) {
            sa_text_append(&got, number, strlen(number));
        } else {
            sa_text_append(&got, prompt.text.bytes + part->begin, part->end - part->begin);
        }
    }
    assert_string_equal(got.bytes, want);
    sa_text_free(&got);
    sa_chat_text_free(&prompt);
    sa_template_close(t);
}

static void test_shipped(void **state)
{
    (void)state;
    const sa_message one[] = {{SA_ROLE_USER, "What is it?", 1}};
    check_prompt(
        "llava_v1", one, 1, true,
        "A chat between a curious human and an artificial intelligence assistant. The assistant gives "
        "helpful, detailed, and polite answers to the human's questions. USER: [0]\nWhat is it? "
        "ASSISTANT:");
    check_prompt("qwen_vl_chat", one, 1, true,
                 "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nPicture 1: "
                 "<img>[0]</img>\nWhat is it?<|im_end|>\n<|im_start|>assistant\n");
    check_prompt("qwen2_vl", one, 1, true,
                 "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
                 "<|vision_start|>[0]<|vision_end|>What is it?<|im_end|>\n<|im_start|>assistant\n");
    const sa_message text[] = {{SA_ROLE_USER, "Hi", 0}};
    check_prompt(
        "chatml", text, 1, true,
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n");
}

static void test_turns(void **state)
{
    (void)state;
    const sa_message talk[] = {{SA_ROLE_SYSTEM, "Be brief.", 0},
                               {SA_ROLE_USER, "Hi", 0},
                               {SA_ROLE_ASSISTANT, "Hello.", 0},
                               {SA_ROLE_USER, "Bye", 0}};
    check_prompt("llava_v1", talk, 4, true, "Be brief. USER: Hi ASSISTANT: Hello.</s>USER: Bye ASSISTANT:");
    check_prompt("llava_v1", talk, 3, false, "Be brief. USER: Hi ASSISTANT: Hello.</s>");
    const sa_message bare[] = {{SA_ROLE_SYSTEM, "", 0}, {SA_ROLE_USER, "", 0}};
    check_prompt("chatml", bare, 2, false, "<|im_start|>user\n<|im_end|>\n");
    check_prompt("chatml", NULL, 0, true,
                 "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>assistant\n");
}

/* Markers place pictures, numbers run over the whole conversation. */
static void test_places(void **state)
{
    (void)state;
    const sa_message talk[] = {{SA_ROLE_SYSTEM, "", 0},
                               {SA_ROLE_USER, "<image>and <image>?", 2},
                               {SA_ROLE_ASSISTANT, "<image>", 0},
                               {SA_ROLE_USER, "x", 1}};
    check_prompt("qwen_vl_chat", talk, 4, false,
                 "<|im_start|>user\nPicture 1: <img>[0]</img>\nand Picture 2: <img>[1]</img>\n?<|im_end|>\n"
                 "<|im_start|>assistant\n<image><|im_end|>\n<|im_start|>user\nPicture 3: <img>[2]</img>\n"
                 "x<|im_end|>\n");
}

static void check_refused_images(const char *name, sa_role role, const char *text, size_t images,
                                 const char *part)
{
    sa_template *t = open_good(name);
    sa_message message = {role, text, images};
    sa_chat_text prompt = {0};
    sa_error err;
    assert_int_equal(sa_template_render(t, &message, 1, true, &prompt, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, part));
    assert_true(err.hint[0] != '\0' && prompt.count == 0);
    sa_template_close(t);
}

static void test_refuses_images(void **state)
{
    (void)state;
    check_refused_images("llava_v1", SA_ROLE_USER, "<image> <image>", 1, "2 times");
    check_refused_images("llava_v1", SA_ROLE_USER, "<image>", 0, "1 times");
    check_refused_images("llava_v1", SA_ROLE_USER, "<image>", 2, "2 pictures");
    check_refused_images("llava_v1", SA_ROLE_ASSISTANT, "x", 1, "not the user's");
    check_refused_images("chatml", SA_ROLE_USER, "x", 1, "no place for a picture");
}

static void check_refused(const char *json, const char *part)
{
    sa_template *t = NULL;
    sa_error err;
    assert_int_equal(sa_template_parse(&t, "t.json", json, strlen(json), &err), SA_BAD_INPUT);
    assert_null(t);
    assert_string_equal(err.file, "t.json");
    if (strstr(err.reason, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, err.reason);
    }
}

static void test_refuses_files(void **state)
{
    (void)state;
    check_refused("", "empty");
    check_refused("[]", "object");
    check_refused("{\"user\":\"x\"}", "\"user\" is not known");
    check_refused("{\"user_before\":1}", "should be a string");
    check_refused("{\"stop\":\"</s>\"}", "no list");
    check_refused("{\"stop\":[\"\"]}", "no text");
    check_refused("{\"stop\":[1]}", "no text");
    check_refused(
        "{\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\",\"12\",\"13\","
        "\"14\",\"15\",\"16\",\"17\"]}",
        "at most 16");
    check_refused("{\"image_marker\":\"<image>\"}", "belong together");
    sa_template *t = NULL;
    sa_error err;
    assert_int_equal(sa_template_open(&t, "no_such_template", &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.hint, "llava_v1"));
}

static void test_asks(void **state)
{
    (void)state;
    sa_template *t = open_good("qwen_vl_chat");
    const char *const *stops = sa_template_stops(t);
    assert_string_equal(stops[0], "<|im_end|>");
    assert_string_equal(stops[1], "<|endoftext|>");
    assert_null(stops[2]);
    assert_string_equal(sa_template_image_token(t), "<imgpad>");
    sa_template_close(t);
    t = open_good("runtime/text/templates/chatml.json"); /* a file by its path */
    assert_string_equal(sa_template_image_token(t), "");
    sa_template_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shipped),       cmocka_unit_test(test_turns),
        cmocka_unit_test(test_places),        cmocka_unit_test(test_refuses_images),
        cmocka_unit_test(test_refuses_files), cmocka_unit_test(test_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
