/* A contact sheet: scenes side by side, for a person to look at. */
#include <stdio.h>
#include <string.h>

#include "runtime/data/scene_row.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#include <stb_easy_font.h>
#pragma GCC diagnostic pop

enum {
    TILE = 256,
    GAP = 8,
    LINES = 2,
    LINE = 12,
    HEIGHT = TILE + LINES * LINE + 6,
    COLUMNS = 4,
    LETTERS = 40
};

sa_status sa_scene_sheet_open(sa_scene_sheet *sheet, size_t count, sa_error *err)
{
    size_t columns = count < COLUMNS ? count : COLUMNS, rows = (count + COLUMNS - 1) / COLUMNS;
    *sheet = (sa_scene_sheet){.columns = columns};
    SA_ASSERT(count > 0);
    SA_TRY(sa_image_new(rows * (HEIGHT + GAP) + GAP, columns * (TILE + GAP) + GAP, &sheet->image, err));
    memset(sheet->image.pixels, 255, sheet->image.height * sheet->image.width * 3);
    return SA_OK;
}

void sa_scene_sheet_close(sa_scene_sheet *sheet)
{
    sa_image_free(&sheet->image);
}

static uint8_t *pixel_of(const sa_scene_sheet *sheet, size_t x, size_t y)
{
    return sheet->image.pixels + (y * sheet->image.width + x) * 3;
}

/* A quad of the font is a box of whole pixels: four corners of x, y, z and a color, 16 bytes each. */
static void draw_text(sa_scene_sheet *sheet, size_t left, size_t top, char *text)
{
    static const uint8_t black[3] = {0, 0, 0};
    float corners[LETTERS * 270 / 4]; /* stb_easy_font.h: about 270 bytes a letter */
    int quads = stb_easy_font_print(0, 0, text, NULL, corners, sizeof corners);
    for (int q = 0; q < quads; q++) {
        const float *first = corners + 16 * q, *third = first + 8;
        for (size_t y = (size_t)first[1]; y < (size_t)third[1]; y++) {
            for (size_t x = (size_t)first[0]; x < (size_t)third[0] && x < TILE; x++) {
                memcpy(pixel_of(sheet, left + x, top + y), black, 3);
            }
        }
    }
}

/* The phrase in lines of whole words. */
static void draw_phrase(sa_scene_sheet *sheet, size_t left, size_t top, const char *text)
{
    for (int line = 0; line < LINES && *text != '\0'; line++, top += LINE) {
        char part[LETTERS + 1];
        size_t length = strlen(text);
        if (length > LETTERS) {
            for (length = LETTERS; length > 1 && text[length] != ' '; length--) {
            }
        }
        snprintf(part, sizeof part, "%.*s", (int)length, text);
        draw_text(sheet, left, top, part);
        text += length + (text[length] == ' ');
    }
}

/* True on the inner edge of the mask; a pixel of the picture's border counts as one. */
static bool on_edge(const sa_mask *mask, size_t x, size_t y)
{
    return sa_mask_get(mask, x, y) && (x == 0 || y == 0 || x + 1 == mask->width || y + 1 == mask->height ||
                                       !sa_mask_get(mask, x - 1, y) || !sa_mask_get(mask, x + 1, y) ||
                                       !sa_mask_get(mask, x, y - 1) || !sa_mask_get(mask, x, y + 1));
}

/* Nearest pixels of the scene; the outline alternates between two colours, so that it shows on all. */
static void draw_scene(sa_scene_sheet *sheet, size_t left, size_t top, const sa_scene *scene,
                       const sa_mask *target)
{
    static const uint8_t dashes[2][3] = {{0, 255, 0}, {0, 0, 0}};
    for (size_t y = 0; y < TILE; y++) {
        for (size_t x = 0; x < TILE; x++) {
            size_t from_x = x * scene->size / TILE, from_y = y * scene->size / TILE;
            const uint8_t *from = scene->image.pixels + (from_y * scene->size + from_x) * 3;
            memcpy(pixel_of(sheet, left + x, top + y),
                   on_edge(target, from_x, from_y) ? dashes[(x + y) / 4 % 2] : from, 3);
        }
    }
}

sa_status sa_scene_sheet_add(sa_scene_sheet *sheet, const sa_scene *scene, const sa_scene_phrase *phrase,
                             sa_error *err)
{
    size_t left = GAP + sheet->used % sheet->columns * (TILE + GAP);
    size_t top = GAP + sheet->used / sheet->columns * (HEIGHT + GAP);
    SA_ASSERT(top + HEIGHT < sheet->image.height);
    sa_mask target;
    SA_TRY(sa_mask_new(&target, scene->size, scene->size, err));
    sa_scene_target(scene, phrase, &target);
    draw_scene(sheet, left, top, scene, &target);
    draw_phrase(sheet, left, top + TILE + 4, phrase->text);
    sa_mask_free(&target);
    sheet->used++;
    return SA_OK;
}
