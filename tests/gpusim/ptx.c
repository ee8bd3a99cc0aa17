/* What the tree's users ask of it: types and modifiers. See ptx.h. */
#include "tests/gpusim/ptx.h"

#include <string.h>

static const struct {
    const char *name;
    uint32_t bytes;
} types[PTX_TYPES] = {
    [PTX_NO_TYPE] = {"", 0},      [PTX_B8] = {"b8", 1},         [PTX_B16] = {"b16", 2},
    [PTX_B32] = {"b32", 4},       [PTX_B64] = {"b64", 8},       [PTX_B128] = {"b128", 16},
    [PTX_U8] = {"u8", 1},         [PTX_U16] = {"u16", 2},       [PTX_U32] = {"u32", 4},
    [PTX_U64] = {"u64", 8},       [PTX_S8] = {"s8", 1},         [PTX_S16] = {"s16", 2},
    [PTX_S32] = {"s32", 4},       [PTX_S64] = {"s64", 8},       [PTX_F16] = {"f16", 2},
    [PTX_F16X2] = {"f16x2", 4},   [PTX_BF16] = {"bf16", 2},     [PTX_BF16X2] = {"bf16x2", 4},
    [PTX_F32] = {"f32", 4},       [PTX_F32X2] = {"f32x2", 8},   [PTX_F64] = {"f64", 8},
    [PTX_TF32] = {"tf32", 4},     [PTX_E4M3] = {"e4m3", 1},     [PTX_E5M2] = {"e5m2", 1},
    [PTX_E4M3X2] = {"e4m3x2", 2}, [PTX_E5M2X2] = {"e5m2x2", 2}, [PTX_U4] = {"u4", 0},
    [PTX_S4] = {"s4", 0},         [PTX_B1] = {"b1", 0},         [PTX_U16X2] = {"u16x2", 4},
    [PTX_S16X2] = {"s16x2", 4},   [PTX_PRED] = {"pred", 0},
};

uint32_t ptx_type_bytes(ptx_type type)
{
    return types[type].bytes;
}

ptx_type ptx_type_of(const char *modifier)
{
    if (strchr("busfetp", modifier[0]) == NULL || modifier[0] == '\0') { /* most modifiers are no types */
        return PTX_NO_TYPE;
    }
    for (int type = PTX_NO_TYPE + 1; type < PTX_TYPES; type++) {
        if (types[type].name[0] == modifier[0] && strcmp(types[type].name, modifier) == 0) {
            return (ptx_type)type;
        }
    }
    return PTX_NO_TYPE;
}

bool ptx_has(const ptx_instruction *inst, const char *modifier)
{
    for (uint32_t i = 0; i < inst->modifiers; i++) {
        if (strcmp(inst->modifier[i], modifier) == 0) {
            return true;
        }
    }
    return false;
}

ptx_type ptx_nth_type(const ptx_instruction *inst, uint32_t n)
{
    for (uint32_t i = 0; i < inst->modifiers; i++) {
        ptx_type type = ptx_type_of(inst->modifier[i]);
        if (type != PTX_NO_TYPE && n-- == 0) {
            return type;
        }
    }
    return PTX_NO_TYPE;
}
