/* Figures for programs (JSON, CSV) and for people (lines of text, a Markdown table). */
#ifndef SA_DATA_METRICS_WRITE_H
#define SA_DATA_METRICS_WRITE_H

#include <stdio.h>

#include "runtime/base/json.h"
#include "runtime/data/compare.h"
#include "runtime/data/metrics.h"

typedef enum { SA_TABLE_TEXT, SA_TABLE_MARKDOWN, SA_TABLE_CSV } sa_table_style;

/*
 * The object of INTERFACES.md, "segagent eval --json". Beside each plain number stands its interval:
 * {"mean": 3.1, "mean_interval": [low, high]}. What is not defined is null.
 */
void sa_metrics_write_json(const sa_metrics *metrics, sa_json_writer *w);
void sa_comparison_write_json(const sa_comparison *comparison, sa_json_writer *w);

/* One line a figure: name, value, low, high. */
void sa_metrics_write_table(const sa_metrics *metrics, sa_table_style style, FILE *stream);
void sa_comparison_write_table(const sa_comparison *comparison, sa_table_style style, FILE *stream);

/*
 * CSV, one line an item: id, iou, intersection, union, step, clicks to 80, 85 and 90 % (empty: never),
 * first_click.
 */
void sa_scores_write_csv(const sa_scores *scores, int64_t step, FILE *stream);

#endif
