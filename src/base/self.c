/* SPDX-License-Identifier: MIT */
#include "self.h"

struct self self;
