/* Our manifest, one object a line, read line by line. */
#include <stdio.h>

#include "runtime/base/lines.h"
#include "runtime/data/item_reader.h"

enum { NAME_ROOM = 512 };

static sa_status fill_draft(const json_t *row, const char *name, const char *number, char id[32],
                            item_draft *draft, sa_error *err)
{
    const json_t *given = item_member(row, "id");
    draft->id = given != NULL ? item_text_of(given, id) : number;
    if (draft->id == NULL) {
        return sa_fail(err, SA_BAD_INPUT, name, "write a text or an integer", "key \"id\" is neither");
    }
    SA_TRY(sa_json_get_string(row, name, "image", true, &draft->image, err));
    SA_TRY(sa_json_get_string(row, name, "text", true, &draft->text, err));
    draft->mask = item_member(row, "mask");
    draft->gt = item_member(row, "gt");
    draft->meta = item_member(row, "meta");
    return item_read_size(row, name, &draft->height, &draft->width, err);
}

static sa_status read_line(item_reader *r, sa_json_part line, size_t number, sa_error *err)
{
    char name[NAME_ROOM], number_text[32], id[32];
    json_t *row = NULL;
    sa_error why = {0};
    item_draft draft = {0};
    snprintf(name, sizeof name, "%.480s:%zu", r->path, number);
    snprintf(number_text, sizeof number_text, "%zu", number);
    sa_status status = item_parse_object(line, name, &row, &why);
    if (status == SA_OK) {
        status = fill_draft(row, name, number_text, id, &draft, &why);
    }
    status = status == SA_OK
                 ? item_reader_add(r, &draft, name, err)
                 : item_reader_settle(r, status, draft.id != NULL ? draft.id : number_text, &why, err);
    json_decref(row);
    return status;
}

sa_status item_read_manifest(item_reader *r, const char *text, size_t size, sa_error *err)
{
    sa_lines lines = {.text = text, .size = size};
    const char *line;
    size_t length;
    while (!item_reader_full(r) && sa_lines_next(&lines, &line, &length)) {
        SA_TRY(read_line(r, (sa_json_part){line, length}, lines.number, err));
    }
    return SA_OK;
}
