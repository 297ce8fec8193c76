#include <radcli/radcli.h>
