/*
 * Signals. The mutable statics here are what a signal handler needs: it gets no context pointer.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cli/cli.h"

static volatile sig_atomic_t seen_signals;
static volatile sig_atomic_t guard_set;
static char guarded[544];

/* Only async-signal-safe calls: unlink, write, _exit. */
static void on_signal(int number)
{
    (void)number;
    static const char text[] = "\nsegagent: stopping after the item in hand (once more to stop at once)\n";
    if (seen_signals != 0) {
        if (guard_set) {
            unlink(guarded);
        }
        _exit(130);
    }
    seen_signals = 1;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) {
        return; /* nobody left to tell */
    }
}

void sa_interrupt_install(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool sa_interrupt_seen(void)
{
    return seen_signals != 0;
}

sa_status sa_interrupt_check(sa_error *err)
{
    return sa_interrupt_seen() ? sa_fail(err, SA_INTERRUPTED, NULL, NULL, "interrupted") : SA_OK;
}

void sa_interrupt_guard(const char *temporary)
{
    guard_set = 0;
    if (temporary != NULL && strlen(temporary) < sizeof guarded) {
        memcpy(guarded, temporary, strlen(temporary) + 1);
        guard_set = 1;
    }
}
