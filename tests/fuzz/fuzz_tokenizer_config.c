/*
 * One of the files beside a tokenizer.json with arbitrary bytes in it: the first byte says which. The
 * directory of this process lies in the working directory.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "tests/fuzz/text_exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char TOKENIZER[] = "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"<s>\":3,"
                                "\"</s>\":4},\"merges\":[\"a b\"]},"
                                "\"added_tokens\":[{\"id\":5,\"content\":\"<x>\",\"special\":true}]}";

static void write_plain(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb"); /* not sa_file_write: syncing takes longer than all the rest */
    SA_ASSERT(file != NULL);
    SA_ASSERT(fwrite(bytes, 1, size, file) == size);
    SA_ASSERT(fclose(file) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"tokenizer_config.json", "special_tokens_map.json",
                                        "added_tokens.json", "generation_config.json", "config.json"};
    char directory[64];
    char path[128];
    if (size == 0) {
        return 0;
    }
    snprintf(directory, sizeof directory, "config-%d", (int)getpid());
    mkdir(directory, 0777);
    snprintf(path, sizeof path, "%s/tokenizer.json", directory);
    write_plain(path, TOKENIZER, sizeof TOKENIZER - 1);
    snprintf(path, sizeof path, "%s/%s", directory, names[data[0] % 5]);
    write_plain(path, data + 1, size - 1);
    sa_tokenizer *t = NULL;
    sa_error err = {0};
    sa_status status = sa_tokenizer_open(&t, directory, &err);
    SA_ASSERT(unlink(path) == 0);
    if (status == SA_OK) {
        const sa_tokenizer_ids *special = sa_tokenizer_special(t);
        SA_ASSERT(special->eos_count <= SA_TOKENIZER_MOST_EOS);
        exercise(t);
    } else {
        check_refusal(status, &err);
    }
    return 0;
}
