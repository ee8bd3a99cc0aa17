/*
 * Lessons in files: lessons.jsonl, one a line,
 *   {"id","image","text","mask": RLE,"iou","action":{"positive","row","col"},"source"}
 * and, for trainers of LLaVA, chat.jsonl with the painted pictures beside it:
 *   {"id","image","conversations":[{"from":"human","value"},{"from":"gpt","value"}]}
 */
#ifndef SA_HLMAT_LESSON_ROWS_H
#define SA_HLMAT_LESSON_ROWS_H

#include "runtime/base/json.h"
#include "runtime/hlmat/agent.h"
#include "runtime/hlmat/lesson.h"

typedef struct {
    char *id, *image, *text;
    sa_rle mask;
    double iou;
    sa_action action;
    char *source;
} sa_lesson_row;

void sa_lesson_row_free(sa_lesson_row *row);

/* A lesson of a result, as a line. */
sa_status sa_lesson_write(const sa_result *result, const sa_lesson *lesson, sa_json_writer *w, sa_error *err);
/* The reverse. `name` is what errors call the line. */
sa_status sa_lesson_parse(sa_lesson_row *row, const json_t *value, const char *name, sa_error *err);

/* What the policy is to answer there: the IoU, if the agent judges masks, and the click. */
void sa_lesson_answer(const sa_agent *agent, const sa_lesson_row *row, char *text, size_t size);

/*
 * A line of chat.jsonl, number `number`, and its picture in DIRECTORY/images: the row's mask painted on
 * `picture` as the agent sees it (a JPEG of the agent's quality, or a PNG).
 */
sa_status sa_lesson_write_chat(const sa_agent *agent, const sa_lesson_row *row, size_t number,
                               const sa_image *picture, const char *directory, sa_json_writer *w,
                               sa_error *err);

#endif
