/*
 * progress.h: what get_rebalance_progress() says about running transfers.
 *
 * Kept in shared memory, for as many shards at a time as there is room for; more are not shown.
 */
#pragma once

#include "transfer.h"

namespace civitas::cluster {

enum class Phase : int
{
	SettingUp,
	Copying,
	Indexing,
	CatchingUp,
	FinalCatchUp,
	ForeignKeys,
	Completing
};

/* Shows the transfers as this backend's; type: move, copy, split. */
void begin_progress(Transfers transfers, const char *type);
void set_phase(Phase phase);
/* The replication slot from which the transfers of one source and target get their changes. */
void set_progress_slot(GroupId source, GroupId target, const char *slot);
/* Shows this backend's no more; harmless where there are none. */
void end_progress();

void progress_init();

} // namespace civitas::cluster
