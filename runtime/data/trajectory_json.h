/*
 * SegAgent's trajectory JSON (MODEL_SPECS 10.1): {"info":{"args":{},"writer":...},"data":[...]}, one object a
 * result, whose clicks_list are those of its steps that clicked. Names of pictures are as the input had them,
 * which SegAgent's own loader may skip (PNG) or look for elsewhere. item.h knows such a file by its "writer",
 * and reads all of it back.
 */
#ifndef SA_DATA_TRAJECTORY_JSON_H
#define SA_DATA_TRAJECTORY_JSON_H

#include "runtime/base/json.h"
#include "runtime/data/result.h"

void sa_trajectory_json_begin(sa_json_writer *w);
sa_status sa_trajectory_json_add(const sa_result *result, const sa_rle *truth, sa_json_writer *w,
                                 sa_error *err);
/* True for the "info" of a file that this wrote. */
bool sa_trajectory_json_is_ours(const json_t *info);
void sa_trajectory_json_end(sa_json_writer *w);

#endif
