#include "runtime/cli/cli.h"

int main(int argc, char **argv)
{
    return sa_cli_main(argc, argv);
}
