/*
 * SegAgent's trajectory JSON (MODEL_SPECS 10.1): {"info":{"args":{}},"data":[...]}, one object a result,
 * whose clicks_list are its steps. item.h reads it back.
 */
#ifndef SA_DATA_TRAJECTORY_JSON_H
#define SA_DATA_TRAJECTORY_JSON_H

#include "runtime/base/json.h"
#include "runtime/data/result.h"

void sa_trajectory_json_begin(sa_json_writer *w);
sa_status sa_trajectory_json_add(const sa_result *result, const sa_rle *truth, sa_json_writer *w,
                                 sa_error *err);
void sa_trajectory_json_end(sa_json_writer *w);

#endif
