#include "runtime/fleet/redis_scripts.h"

/* clang-format off */

#define SCRIPT_NAMES                                                                                        \
    "local tasks, marks, rows, done, run = unpack(KEYS)\n"                                                  \
    "local fingerprint, me = ARGV[1], ARGV[2]\n"                                                            \
    "local call = redis.call\n"

#define SCRIPT_AS_CONSUMER                                                                                  \
    SCRIPT_NAMES                                                                                            \
    "local is = call('HMGET', run, 'fingerprint', 'state')\n"                                               \
    "if not is[1] then return {'absent'} end\n"                                                             \
    "if is[1] ~= fingerprint then return {'other'} end\n"                                                   \
    "if is[2] == 'finished' then return {'finished'} end\n"

#define SCRIPT_AS_COORDINATOR                                                                               \
    SCRIPT_NAMES                                                                                            \
    "local is = call('HMGET', run, 'fingerprint', 'coordinator')\n"                                         \
    "if not is[1] then return {'absent'} end\n"                                                             \
    "if is[1] ~= fingerprint then return {'other'} end\n"                                                   \
    "if is[2] ~= me then return {'taken'} end\n"

#define SCRIPT_MAKE_TASKS                                                                                   \
    "if call('EXISTS', tasks) == 0 then call('XGROUP', 'CREATE', tasks, 'workers', '0', 'MKSTREAM') end\n"

const char redis_script_look[] = SCRIPT_AS_CONSUMER
    "return {'ok'}\n";

const char redis_script_lead[] = SCRIPT_NAMES
    "local was = call('HGET', run, 'fingerprint')\n"
    "if was and was ~= fingerprint then return {'other'} end\n"
    "if not was then call('UNLINK', tasks, marks, rows, done, run) end\n"
    "call('HSET', run, 'fingerprint', fingerprint, 'state', 'running', 'coordinator', me)\n"
    "call('PERSIST', run)\n"
    "call('PERSIST', marks)\n"
    SCRIPT_MAKE_TASKS
    "return {'ok'}\n";

const char redis_script_scan[] = SCRIPT_AS_COORDINATOR
    "local found = {'ok'}\n"
    "for _, entry in ipairs(call('XRANGE', tasks, '(' .. ARGV[3], '+', 'COUNT', ARGV[4])) do\n"
    "    found[#found + 1] = entry[1]\n"
    "end\n"
    "return found\n";

const char redis_script_offer[] = SCRIPT_AS_COORDINATOR SCRIPT_MAKE_TASKS
    "local marked = call('EXISTS', marks) == 1\n"
    "local info, last = call('XINFO', 'STREAM', tasks), '0-0'\n"
    "for i = 1, #info, 2 do\n"
    "    if info[i] == 'last-generated-id' then last = info[i + 1] end\n"
    "end\n"
    "local offer, seq = string.match(last, '^(%d+)-(%d+)$')\n"
    "offer, seq = tonumber(offer), tonumber(seq)\n"
    "for i = 3, #ARGV do\n"
    "    local waits, row = string.match(ARGV[i], '^(-?)(%d+)$')\n"
    "    local put = marked and call('HEXISTS', marks, row) == 1\n"
    "    if put and call('HEXISTS', rows, row .. ':0') == 0 then\n"
    "        call('HDEL', marks, row)\n"
    "        put = false\n"
    "    end\n"
    "    if not put and waits == '' then\n"
    "        if offer == 0 or tonumber(row) <= seq then offer = offer + 1 end\n"
    "        seq = tonumber(row)\n"
    "        call('XADD', tasks, string.format('%.0f', offer) .. '-' .. row, 'r', '')\n"
    "    end\n"
    "end\n"
    "return {'ok'}\n";

const char redis_script_take[] = SCRIPT_AS_CONSUMER
    "local most, taken, last = tonumber(ARGV[3]), {'ok', '0-0'}, '0-0'\n"
    "local function left() return most - (#taken - 2) / 2 end\n"
    "local function take(id, tries)\n"
    "    if call('HEXISTS', marks, string.match(id, '%d+$')) == 1 then\n"
    "        call('XACK', tasks, 'workers', id)\n"
    "        call('XDEL', tasks, id)\n"
    "    else\n"
    "        taken[#taken + 1] = id\n"
    "        taken[#taken + 1] = tries\n"
    "    end\n"
    "end\n"
    "local function tries(id)\n"
    "    local waits = call('XPENDING', tasks, 'workers', id, id, 1)[1]\n"
    "    return waits and waits[4] or 1\n"
    "end\n"
    "for _, waits in ipairs(call('XPENDING', tasks, 'workers', '-', '+', most, 'nobody')) do\n"
    "    if call('XCLAIM', tasks, 'workers', me, 0, waits[1])[1] then take(waits[1], tries(waits[1])) end\n"
    "end\n"
    "local clock = call('TIME')\n"
    "local now = clock[1] * 1000 + math.floor(clock[2] / 1000)\n"
    "local swept = tonumber(call('HGET', run, 'swept') or 0)\n"
    "if left() > 0 and (now < swept or now - swept >= math.min(ARGV[4] / 4, 10000)) then\n"
    "    local at = '0-0'\n"
    "    repeat\n"
    "        local old = call('XAUTOCLAIM', tasks, 'workers', me, ARGV[4], at, 'COUNT', left())\n"
    "        at = old[1]\n"
    "        for _, entry in ipairs(old[2]) do\n"
    "            if entry then take(entry[1], tries(entry[1])) end\n"
    "        end\n"
    "    until at == '0-0' or left() <= 0\n"
    "    if at == '0-0' then call('HSET', run, 'swept', string.format('%.0f', now)) end\n"
    "end\n"
    "while left() > 0 do\n"
    "    local new = call('XREADGROUP', 'GROUP', 'workers', me, 'COUNT', left(), 'STREAMS', tasks, '>')\n"
    "    if not new then break end\n"
    "    for _, entry in ipairs(new[1][2]) do take(entry[1], 1) end\n"
    "end\n"
    "for _, group in ipairs(call('XINFO', 'GROUPS', tasks)) do\n"
    "    for i = 1, #group, 2 do\n"
    "        if group[i] == 'last-delivered-id' then taken[2] = group[i + 1] end\n"
    "    end\n"
    "end\n"
    "return taken\n";

const char redis_script_mine[] = SCRIPT_AS_CONSUMER
    "local mine = {'ok'}\n"
    "for _, waits in ipairs(call('XPENDING', tasks, 'workers', '-', '+', ARGV[3], me)) do\n"
    "    mine[#mine + 1] = waits[1]\n"
    "    mine[#mine + 1] = waits[4]\n"
    "end\n"
    "return mine\n";

const char redis_script_keep[] = SCRIPT_AS_CONSUMER
    "for i = 3, #ARGV do\n"
    "    if call('XPENDING', tasks, 'workers', ARGV[i], ARGV[i], 1, me)[1] then\n"
    "        call('XCLAIM', tasks, 'workers', me, 0, ARGV[i], 'IDLE', 0, 'JUSTID')\n"
    "    end\n"
    "end\n"
    "return {'ok'}\n";

const char redis_script_give_back[] = SCRIPT_AS_CONSUMER
    "for i = 3, #ARGV do\n"
    "    local mine = call('XPENDING', tasks, 'workers', ARGV[i], ARGV[i], 1, me)[1]\n"
    "    if mine then\n"
    "        call('XCLAIM', tasks, 'workers', 'nobody', 0, ARGV[i], 'TIME', 0,\n"
    "             'RETRYCOUNT', math.max(mine[4] - 1, 0), 'JUSTID')\n"
    "    end\n"
    "end\n"
    "return {'ok'}\n";

const char redis_script_piece[] = SCRIPT_AS_CONSUMER
    "if call('HEXISTS', marks, ARGV[3]) == 1 then return {'ok', 'put'} end\n"
    "call('HSET', rows, ARGV[3] .. ':' .. ARGV[4], ARGV[5])\n"
    "return {'ok', 'new'}\n";

const char redis_script_put[] = SCRIPT_AS_CONSUMER
    "local row, id, mark, size, last, piece = unpack(ARGV, 3, 8)\n"
    "local was = call('HGET', marks, row)\n"
    "if not was then\n"
    "    for i = 0, last - 1 do\n"
    "        if call('HEXISTS', rows, row .. ':' .. i) == 0 then return {'ok', 'pieces'} end\n"
    "    end\n"
    "    call('HSET', rows, row .. ':' .. last, piece)\n"
    "    call('XADD', done, '*', 'row', row, 'mark', mark, 'size', size)\n"
    "    call('HSET', marks, row, mark)\n"
    "end\n"
    "if id ~= '' then\n"
    "    call('XACK', tasks, 'workers', id)\n"
    "    call('XDEL', tasks, id)\n"
    "end\n"
    "return {'ok', not was and 'new' or was == mark and 'same' or 'differs'}\n";

const char redis_script_collect[] = SCRIPT_AS_COORDINATOR
    "local found = {'ok'}\n"
    "for _, entry in ipairs(call('XRANGE', done, '(' .. ARGV[3], '+', 'COUNT', ARGV[4])) do\n"
    "    found[#found + 1] = entry[1]\n"
    "    for i = 2, 6, 2 do found[#found + 1] = entry[2][i] or '' end\n"
    "end\n"
    "return found\n";

const char redis_script_forget[] = SCRIPT_AS_COORDINATOR
    "for i = 3, #ARGV - 2, 3 do\n"
    "    call('XDEL', done, ARGV[i])\n"
    "    for piece = 0, ARGV[i + 2] - 1 do call('HDEL', rows, ARGV[i + 1] .. ':' .. piece) end\n"
    "end\n"
    "return {'ok'}\n";

const char redis_script_finish[] = SCRIPT_NAMES
    "local is = call('HMGET', run, 'fingerprint', 'coordinator')\n"
    "if is[1] and is[1] ~= fingerprint then return {'other'} end\n"
    "if is[2] and is[2] ~= me then return {'taken'} end\n"
    "call('UNLINK', tasks, rows, done)\n"
    "call('HSET', run, 'fingerprint', fingerprint, 'state', 'finished', 'coordinator', me)\n"
    "call('EXPIRE', run, ARGV[3])\n"
    "call('EXPIRE', marks, ARGV[3])\n"
    "return {'ok'}\n";

/* clang-format on */
