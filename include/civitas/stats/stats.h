/*
 * stats.h: counters of what the executor and the sessions do, in shared memory.
 *
 * Lower modules report through hooks that the composition root points here.
 */
#pragma once

#include "civitas/pg/server.h"
#include "civitas/remote/session.h"

namespace civitas::stats {

/* counters.cpp: citus_stat_counters. Free when citus.enable_stat_counters is off. */
void count_session(remote::SessionEvent event);
void count_execution(bool multi_shard);

/* statements.cpp: citus_stat_statements. */
/* Whether statements are counted now (citus.stat_statements_track). */
bool counts_statements();
/* One statement was run. partition_key: the value that chose its shard, as text; null for none. */
void count_statement(uint64 query_id, bool insert_select, const char *partition_key);

void stats_init();

} // namespace civitas::stats
