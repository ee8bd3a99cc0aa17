#include "runtime/image/view.h"

#include <string.h>

sa_status sa_view_paint(const sa_view *view, sa_image *out, sa_error *err)
{
    SA_TRY(sa_image_new(view->picture->height, view->picture->width, out, err));
    memcpy(out->pixels, view->picture->pixels, out->height * out->width * 3);
    sa_image_overlay_by(out, view->mask, view->paint);
    return SA_OK;
}
