/*
 * What is done in Redis (redis_queue.h), each as one script of Lua. All get the same keys, and the run's
 * fingerprint and the handle's name as the first two arguments; further ones stand at each. All answer with a
 * flat list that begins with a verdict: "ok"; "absent", there is no such run; "other", it has another
 * fingerprint; "finished" (for consumers); "taken", another coordinator leads it.
 */
#ifndef SA_FLEET_REDIS_SCRIPTS_H
#define SA_FLEET_REDIS_SCRIPTS_H

/* A consumer's look at the run. */
extern const char redis_script_look[];
/* The handle leads the run, which begins if it is not there: then nothing of an older one may be. */
extern const char redis_script_lead[];
/* 3: an id, 4: a number. Ids of so many tasks behind it. */
extern const char redis_script_scan[];
/*
 * 3...: rows in growing order, those that stand in tasks with a minus before them. A mark without a line is
 * of a row that was forgotten.
 */
extern const char redis_script_offer[];
/*
 * 3: the most, 4: milliseconds. Tasks that were given back; those that nobody has kept for so long, which are
 * looked for by one of all consumers every 10 s or a quarter of that, since it takes microseconds for each
 * task that somebody has; then new ones. The answer: the id of the newest task that was ever given out, then
 * id and tries of each. Of rows that were put the tasks go.
 */
extern const char redis_script_take[];
/* 3: a number. Id and tries of so many tasks that the handle has claimed. */
extern const char redis_script_mine[];
/* 3...: ids. Those that the handle still has claimed are fresh again. */
extern const char redis_script_keep[];
/* 3...: ids. Those that the handle still has claimed have been idle since 1970, for nobody. */
extern const char redis_script_give_back[];
/* 3: row, 4: number of a piece, 5: its bytes. "new", or "put" if the row has its mark already. */
extern const char redis_script_piece[];
/*
 * 3: row, 4: id of its task or nothing, 5: mark, 6: size of the line, 7: number of its last piece, 8: the
 * bytes of that. "new", "same" or "differs", or "pieces" if those before it are not there. The task goes
 * last: Redis takes nothing back of a script that fails.
 */
extern const char redis_script_put[];
/* 3: an id, 4: a number. Id, row, mark and size of so many rows that were put behind it. */
extern const char redis_script_collect[];
/* 3...: for each row its id in done, its number, and how many pieces its line has. */
extern const char redis_script_forget[];
/* 3: seconds until the rest goes. */
extern const char redis_script_finish[];

#endif
