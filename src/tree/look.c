#include "look.h"
bool look_below(pid_t reaper, struct look *l) { (void)reaper; l->cpu=0; return true; }
pid_t younger_than(pid_t reaper, int64_t since, char *name, size_t size) { (void)reaper;(void)since;(void)name;(void)size; return 0; }
const char *holding(pid_t reaper, ino_t input, ino_t output) {(void)reaper;(void)input;(void)output; return 0; }
