/*
 * stats_internal.h: what the files of this module share.
 */
#pragma once

#include "civitas/stats/stats.h"

namespace civitas::stats {

void counters_init();
void statements_init();

} // namespace civitas::stats
