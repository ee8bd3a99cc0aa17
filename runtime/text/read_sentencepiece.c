#include "runtime/text/tokenizer_parts.h"
sa_status sa_tokenizer_read_sentencepiece(sa_tokenizer *t, const unsigned char *bytes, size_t size,
                                          sa_error *err)
{
    (void)bytes; (void)size;
    return sa_tokenizer_no_room(t, err);
}
