/*
 * What the harnesses of inputs share: the bytes become a file in a directory of this process, where a picture
 * a.jpg and COCO instances stand beside it, and are read. What item.h promises is asserted.
 */
#ifndef SA_TESTS_FUZZ_ITEMS_EXERCISE_H
#define SA_TESTS_FUZZ_ITEMS_EXERCISE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/status.h"
#include "runtime/data/item.h"

#define EXERCISE_UNUSED __attribute__((unused))

static const char exercise_instances[] =
    "{\"images\":[{\"id\":1,\"file_name\":\"a.jpg\",\"height\":2,\"width\":3}],\"annotations\":[{\"id\":1,"
    "\"image_id\":1,\"category_id\":1,\"segmentation\":{\"size\":[2,3],\"counts\":[1,2,3]}}],\"categories\":["
    "{"
    "\"id\":1,\"name\":\"dog\"}]}";
static const char exercise_refs[] = "[{\"ref_id\":1,\"ann_id\":1,\"sentences\":[{\"sent\":\"s\"}]},{\"ref_"
                                    "id\":2,\"ann_id\":2,\"sentences\":[{"
                                    "\"sent\":\"s\"}]}]";

/* Files go to the current directory, which run.sh makes for each harness. */
static EXERCISE_UNUSED void exercise_write(const char *name, const void *bytes, size_t size)
{
    FILE *file = fopen(name, "wb");
    SA_ASSERT(file != NULL && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

static void exercise_check(const sa_items *items, sa_status status, const sa_error *err)
{
    if (status != SA_OK) {
        SA_ASSERT(err->reason[0] != '\0');
        return;
    }
    SA_ASSERT(items->count > 0);
    for (size_t i = 0; i < items->count; i++) {
        const sa_item *item = &items->items[i];
        SA_ASSERT(item->id[0] != '\0' && item->text[0] != '\0' && item->path[0] != '\0');
        SA_ASSERT(i == 0 || item->row > items->items[i - 1].row);
        SA_ASSERT(item->row < items->count + items->bad_count);
        if (sa_mask_source_given(&item->gt) && item->height > 0 && item->height < 1000 &&
            item->width < 1000) {
            sa_mask mask;
            sa_error why = {0};
            if (sa_mask_source_read(&item->gt, item->height, item->width, "gt", NULL, &mask, &why) == SA_OK) {
                sa_mask_free(&mask);
            }
        }
    }
    for (size_t i = 0; i < items->bad_count; i++) {
        SA_ASSERT(items->bad[i].reason[0] != '\0' && items->bad[i].hint[0] != '\0');
        SA_ASSERT(i == 0 || items->bad[i].row > items->bad[i - 1].row);
    }
}

static void exercise_read(const char *name)
{
    const sa_items_options options = {0};
    sa_items items;
    sa_error err = {0};
    sa_status status = sa_items_read(&items, name, &options, &err);
    exercise_check(&items, status, &err);
    sa_items_free(&items);
}

static void exercise_prepare(void)
{
    if (!sa_file_exists("a.jpg")) {
        exercise_write("a.jpg", "x", 1);
    }
}

static EXERCISE_UNUSED void exercise_items(const char *name, const uint8_t *data, size_t size)
{
    exercise_prepare();
    exercise_write("instances.json", exercise_instances, sizeof exercise_instances - 1);
    exercise_write(name, data, size);
    exercise_read(name);
}

static EXERCISE_UNUSED void exercise_framed(const char *name, const char *before, const uint8_t *data,
                                            size_t size, const char *after)
{
    exercise_prepare();
    FILE *file = fopen(name, "wb");
    SA_ASSERT(file != NULL);
    fputs(before, file);
    fwrite(data, 1, size, file);
    fputs(after, file);
    SA_ASSERT(fclose(file) == 0);
    exercise_read(name);
}

static EXERCISE_UNUSED void exercise_references(const uint8_t *data, size_t size)
{
    exercise_write("instances.json", data, size);
    exercise_write("refs.json", exercise_refs, sizeof exercise_refs - 1);
    exercise_read("refs.json");
}

#endif
