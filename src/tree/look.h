#include <sys/types.h>
#include <stdint.h>
#include <stdbool.h>
#include <stddef.h>
struct look { int64_t cpu; };
bool look_below(pid_t reaper, struct look *l);
pid_t younger_than(pid_t reaper, int64_t since, char *name, size_t size);
const char *holding(pid_t reaper, ino_t input, ino_t output);
