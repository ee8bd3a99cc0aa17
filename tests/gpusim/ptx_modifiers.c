/*
 * The modifiers of each opcode, and how many operands it takes, by the PTX ISA. Handlers look for those that
 * change what they do; what nobody looks for would be skipped in silence, so lower.c asks here first. Types
 * (.u32, .f16x2) are not listed: the handlers refuse those that they don't have.
 */
#include "tests/gpusim/ptx.h"

#include <string.h>

#define ROUNDS "rn rz rm rp "
#define CACHES "ca cg cs cv cs lu wb wt L1:: L2:: "
#define SPACES "global shared shared:: local const param param:: generic "
#define ORDERS "relaxed acquire release acq_rel sc weak volatile mmio cta cluster gpu sys "
#define COMPARES "eq ne lt le gt ge lo ls hi hs equ neu ltu leu gtu geu num nan and or xor ftz "
#define VIDEO "sat add min max "
#define TILES "sync aligned x1 x2 x4 trans m8n8 m16n16 m16n8 shared shared:: "
#define MATRIX                                                                                               \
    "sync aligned row col a b c d load store mma m8n8k4 m8n8k16 m8n8k32 m8n8k64 m8n8k128 m16n8k4 m16n8k8 "   \
    "m16n8k16 m16n8k32 m16n8k64 m16n8k128 m16n8k256 m16n16k8 m16n16k16 m32n8k16 m8n32k16 satfinite xor and " \
    "popc rn rz rm rp global shared shared:: "

/* Words separated by blanks; one that ends with "::" stands for all that begin so. */
static const struct {
    const char *opcode;
    uint8_t least, most; /* operands; d|p is one */
    const char *words;
} rows[] = {
    {"add", 3, 3, ROUNDS "ftz sat cc "},
    {"sub", 3, 3, ROUNDS "ftz sat cc "},
    {"addc", 3, 3, "cc "},
    {"subc", 3, 3, "cc "},
    {"madc", 4, 4, "cc lo hi "},
    {"mul", 3, 3, ROUNDS "ftz sat lo hi wide "},
    {"mad", 4, 4, ROUNDS "ftz sat lo hi wide cc "},
    {"fma", 4, 4, ROUNDS "ftz sat relu "},
    {"mul24", 3, 3, "lo hi "},
    {"mad24", 4, 4, "lo hi sat "},
    {"div", 3, 3, ROUNDS "approx full ftz "},
    {"rcp", 2, 2, ROUNDS "approx ftz "},
    {"sqrt", 2, 2, ROUNDS "approx ftz "},
    {"rsqrt", 2, 2, "approx ftz "},
    {"sin", 2, 2, "approx ftz "},
    {"cos", 2, 2, "approx ftz "},
    {"lg2", 2, 2, "approx ftz "},
    {"ex2", 2, 2, "approx ftz "},
    {"tanh", 2, 2, "approx "},
    {"neg", 2, 2, "ftz "},
    {"abs", 2, 2, "ftz "},
    {"min", 3, 3, "ftz NaN xorsign abs relu "},
    {"max", 3, 3, "ftz NaN xorsign abs relu "},
    {"testp", 2, 2, "finite infinite number notanumber normal subnormal "},
    {"bfind", 2, 2, "shiftamt "},
    {"szext", 3, 3, "clamp wrap "},
    {"bmsk", 3, 3, "clamp wrap "},
    {"dp2a", 4, 4, "lo hi "},
    {"shf", 4, 4, "l r clamp wrap "},
    {"prmt", 4, 4, "f4e b4e rc8 ecl ecr rc16 "},
    {"lop3", 5, 6, "and or xor "},
    {"setp", 3, 4, COMPARES},
    {"set", 3, 4, COMPARES},
    {"slct", 4, 4, "ftz "},
    {"cvt", 2, 4, ROUNDS "rni rzi rmi rpi rna ftz sat satfinite relu pack u2 s2 "},
    {"cvta", 2, 2, "to " SPACES},
    {"isspacep", 2, 2, SPACES},
    {"ld", 2, 3, "nc v2 v4 v8 " SPACES CACHES ORDERS},
    {"ldu", 2, 2, "v2 v4 " SPACES},
    {"st", 2, 3, "v2 v4 v8 " SPACES CACHES ORDERS},
    {"atom", 3, 5, "add and cas dec exch inc max min or xor noftz v2 v4 v8 L2:: " SPACES ORDERS},
    {"red", 2, 3, "add and dec inc max min or xor noftz v2 v4 v8 L2:: " SPACES ORDERS},
    {"prefetch", 1, 1, "L1 L2 L2:: " SPACES},
    {"prefetchu", 1, 1, "L1 "},
    {"applypriority", 2, 2, "global L2:: "},
    {"discard", 2, 2, "global L2 L2:: "},
    {"cp", 0, 5,
     "async ca cg commit_group wait_group wait_all mbarrier arrive noinc bulk global shared shared:: L2:: "},
    {"mbarrier", 1, 4,
     "init inval arrive arrive_drop test_wait try_wait pending_count expect_tx complete_tx noComplete "
     "parity " SPACES ORDERS},
    {"ldmatrix", 2, 2, TILES},
    {"stmatrix", 2, 2, TILES},
    {"movmatrix", 2, 2, TILES},
    {"mma", 4, 4, MATRIX},
    {"wmma", 2, 4, MATRIX},
    {"shfl", 5, 5, "sync up down bfly idx "},
    {"vote", 3, 3, "sync all any uni ballot "},
    {"match", 3, 3, "sync all any "},
    {"redux", 3, 3, "sync add min max and or xor abs NaN "},
    {"elect", 2, 2, "sync "},
    {"bar", 1, 4, "sync red arrive warp cta popc and or "},
    {"barrier", 1, 4, "sync red arrive aligned cta cluster popc and or wait release acquire relaxed "},
    {"membar", 0, 0, "cta gl sys proxy "},
    {"fence", 0, 0,
     "proxy alias async global shared:: mbarrier_init cluster acq_rel sc acquire release cta gpu sys "},
    {"bra", 1, 1, "uni "},
    {"brx", 2, 2, "idx uni "},
    {"call", 1, 4, "uni "},
    {"ret", 0, 0, "uni "},
    {"vadd", 3, 4, VIDEO},
    {"vsub", 3, 4, VIDEO},
    {"vabsdiff", 3, 4, VIDEO},
    {"vmin", 3, 4, VIDEO},
    {"vmax", 3, 4, VIDEO},
    {"vadd2", 4, 4, VIDEO},
    {"vsub2", 4, 4, VIDEO},
    {"vavrg2", 4, 4, VIDEO},
    {"vabsdiff2", 4, 4, VIDEO},
    {"vmin2", 4, 4, VIDEO},
    {"vmax2", 4, 4, VIDEO},
    {"vadd4", 4, 4, VIDEO},
    {"vsub4", 4, 4, VIDEO},
    {"vavrg4", 4, 4, VIDEO},
    {"vabsdiff4", 4, 4, VIDEO},
    {"vmin4", 4, 4, VIDEO},
    {"vmax4", 4, 4, VIDEO},
    {"vshl", 3, 4, VIDEO "clamp wrap "},
    {"vshr", 3, 4, VIDEO "clamp wrap "},
    {"vmad", 4, 4, "sat shr7 shr15 po "},
    {"vset", 3, 4, COMPARES VIDEO},
    {"vset2", 4, 4, COMPARES VIDEO},
    {"vset4", 4, 4, COMPARES VIDEO},
    {"rem", 3, 3, ""},
    {"and", 3, 3, ""},
    {"or", 3, 3, ""},
    {"xor", 3, 3, ""},
    {"shl", 3, 3, ""},
    {"shr", 3, 3, ""},
    {"copysign", 3, 3, ""},
    {"sad", 4, 4, ""},
    {"fns", 4, 4, ""},
    {"bfe", 4, 4, ""},
    {"dp4a", 4, 4, ""},
    {"selp", 4, 4, ""},
    {"popc", 2, 2, ""},
    {"clz", 2, 2, ""},
    {"brev", 2, 2, ""},
    {"not", 2, 2, ""},
    {"cnot", 2, 2, ""},
    {"mov", 2, 2, ""},
    {"bfi", 5, 5, ""},
    {"activemask", 1, 1, ""},
    {"nanosleep", 1, 1, ""},
    {"exit", 0, 0, ""},
    {"trap", 0, 0, ""},
    {"brkpt", 0, 0, ""},
};

static bool has_word(const char *words, const char *modifier)
{
    const char *colons = strstr(modifier, "::");
    const size_t length = colons != NULL ? (size_t)(colons - modifier) + 2 : strlen(modifier);
    for (const char *at = words; *at != '\0'; at = strchr(at, ' ') + 1) {
        if (strncmp(at, modifier, length) == 0 && at[length] == ' ') {
            return true;
        }
    }
    return false;
}

static int row_of(const char *opcode)
{
    for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        if (strcmp(rows[n].opcode, opcode) == 0) {
            return (int)n;
        }
    }
    return -1;
}

static const char *words_of(const char *opcode)
{
    const int row = row_of(opcode);
    return row < 0 ? "" : rows[row].words;
}

bool ptx_operands_fit(const ptx_instruction *inst)
{
    const int row = row_of(inst->opcode);
    return row >= 0 && inst->operands >= rows[row].least && inst->operands <= rows[row].most;
}

const char *ptx_unknown_modifier(const ptx_instruction *inst)
{
    const char *words = NULL;
    for (uint32_t n = 0; n < inst->modifiers; n++) {
        if (ptx_type_of(inst->modifier[n]) == PTX_NO_TYPE) {
            words = words != NULL ? words : words_of(inst->opcode);
            if (!has_word(words, inst->modifier[n])) {
                return inst->modifier[n];
            }
        }
    }
    return NULL;
}
