/* Inside runtime/data only: the formats of export.c. */
#ifndef SA_DATA_EXPORT_PARTS_H
#define SA_DATA_EXPORT_PARTS_H

#include "runtime/data/export.h"

void sa_export_coco_begin(sa_export *e);
sa_status sa_export_coco_add(sa_export *e, const sa_result *result, const char *name, sa_error *err);
void sa_export_coco_end(sa_export *e);
/* The entry of a name, made if it is new; *number counts from 1. */
sa_status sa_export_number_of(sa_export_names *names, const char *name, size_t *number, sa_error *err);
void sa_export_names_free(sa_export_names *names);

sa_status sa_export_segagent_add(sa_export *e, const sa_result *result, const sa_rle *truth, sa_error *err);

#endif
