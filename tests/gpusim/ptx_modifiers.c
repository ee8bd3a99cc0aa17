/*
 * The modifiers of each opcode by the PTX ISA. Handlers look for those that change what they do; what nobody
 * looks for would be skipped in silence, so lower.c asks here first. Types (.u32, .f16x2) are not listed: the
 * handlers refuse those that they don't have.
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
    const char *opcode, *words;
} rows[] = {
    {"add", ROUNDS "ftz sat cc "},
    {"sub", ROUNDS "ftz sat cc "},
    {"addc", "cc "},
    {"subc", "cc "},
    {"madc", "cc lo hi "},
    {"mul", ROUNDS "ftz sat lo hi wide "},
    {"mad", ROUNDS "ftz sat lo hi wide cc "},
    {"fma", ROUNDS "ftz sat relu "},
    {"mul24", "lo hi "},
    {"mad24", "lo hi sat "},
    {"div", ROUNDS "approx full ftz "},
    {"rcp", ROUNDS "approx ftz "},
    {"sqrt", ROUNDS "approx ftz "},
    {"rsqrt", "approx ftz "},
    {"sin", "approx ftz "},
    {"cos", "approx ftz "},
    {"lg2", "approx ftz "},
    {"ex2", "approx ftz "},
    {"tanh", "approx "},
    {"neg", "ftz "},
    {"abs", "ftz "},
    {"min", "ftz NaN xorsign abs relu "},
    {"max", "ftz NaN xorsign abs relu "},
    {"testp", "finite infinite number notanumber normal subnormal "},
    {"bfind", "shiftamt "},
    {"szext", "clamp wrap "},
    {"bmsk", "clamp wrap "},
    {"dp2a", "lo hi "},
    {"shf", "l r clamp wrap "},
    {"prmt", "f4e b4e rc8 ecl ecr rc16 "},
    {"lop3", "and or xor "},
    {"setp", COMPARES},
    {"set", COMPARES},
    {"slct", "ftz "},
    {"cvt", ROUNDS "rni rzi rmi rpi rna ftz sat satfinite relu pack u2 s2 "},
    {"cvta", "to " SPACES},
    {"isspacep", SPACES},
    {"ld", "nc v2 v4 v8 " SPACES CACHES ORDERS},
    {"ldu", "v2 v4 " SPACES},
    {"st", "v2 v4 v8 " SPACES CACHES ORDERS},
    {"atom", "add and cas dec exch inc max min or xor noftz v2 v4 v8 L2:: " SPACES ORDERS},
    {"red", "add and dec inc max min or xor noftz v2 v4 v8 L2:: " SPACES ORDERS},
    {"prefetch", "L1 L2 L2:: " SPACES},
    {"prefetchu", "L1 "},
    {"applypriority", "global L2:: "},
    {"discard", "global L2 L2:: "},
    {"cp",
     "async ca cg commit_group wait_group wait_all mbarrier arrive noinc bulk global shared shared:: L2:: "},
    {"mbarrier",
     "init inval arrive arrive_drop test_wait try_wait pending_count expect_tx complete_tx noComplete "
     "parity " SPACES ORDERS},
    {"ldmatrix", TILES},
    {"stmatrix", TILES},
    {"movmatrix", TILES},
    {"mma", MATRIX},
    {"wmma", MATRIX},
    {"shfl", "sync up down bfly idx "},
    {"vote", "sync all any uni ballot "},
    {"match", "sync all any "},
    {"redux", "sync add min max and or xor abs NaN "},
    {"elect", "sync "},
    {"bar", "sync red arrive warp cta popc and or "},
    {"barrier", "sync red arrive aligned cta cluster popc and or wait release acquire relaxed "},
    {"membar", "cta gl sys proxy "},
    {"fence",
     "proxy alias async global shared:: mbarrier_init cluster acq_rel sc acquire release cta gpu sys "},
    {"bra", "uni "},
    {"brx", "idx uni "},
    {"call", "uni "},
    {"ret", "uni "},
    {"vadd", VIDEO},
    {"vsub", VIDEO},
    {"vabsdiff", VIDEO},
    {"vmin", VIDEO},
    {"vmax", VIDEO},
    {"vadd2", VIDEO},
    {"vsub2", VIDEO},
    {"vavrg2", VIDEO},
    {"vabsdiff2", VIDEO},
    {"vmin2", VIDEO},
    {"vmax2", VIDEO},
    {"vadd4", VIDEO},
    {"vsub4", VIDEO},
    {"vavrg4", VIDEO},
    {"vabsdiff4", VIDEO},
    {"vmin4", VIDEO},
    {"vmax4", VIDEO},
    {"vshl", VIDEO "clamp wrap "},
    {"vshr", VIDEO "clamp wrap "},
    {"vmad", "sat shr7 shr15 po "},
    {"vset", COMPARES VIDEO},
    {"vset2", COMPARES VIDEO},
    {"vset4", COMPARES VIDEO},
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

static const char *words_of(const char *opcode)
{
    for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        if (strcmp(rows[n].opcode, opcode) == 0) {
            return rows[n].words;
        }
    }
    return "";
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
