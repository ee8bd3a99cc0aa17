/*
 * Signals. The mutable statics here are what a signal handler needs: it gets no context pointer.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "runtime/cli/cli.h"

static volatile sig_atomic_t seen_signals;
static volatile sig_atomic_t held;

/* Only async-signal-safe calls: write, _exit. */
static void on_signal(int number)
{
    (void)number;
    int saved = errno;
    static const char text[] = "\nsegagent: stopping after the item in hand (once more to stop at once)\n";
    if (seen_signals != 0) {
        if (!held) {
            _exit(130);
        }
        return;
    }
    seen_signals = 1;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) {
        /* nobody left to tell */
    }
    errno = saved; /* of the call that was interrupted */
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

void sa_interrupt_hold(bool hold)
{
    held = hold;
}
