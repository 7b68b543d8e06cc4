/*
 * init.cpp: what this module registers at server start.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/pg/debug_point.h"

CIVITAS_PG_BEGIN
#include "access/twophase.h"
#include "storage/latch.h"
#include "utils/guc.h"
CIVITAS_PG_END

namespace civitas::txn {

namespace {

/* Two-phase commit needs prepared transactions; a server that allows none gets room for all its
 * connections. */
void raise_max_prepared_transactions()
{
	if (max_prepared_xacts != 0 || IsUnderPostmaster)
		return;
	char value[16];
	snprintf(value, sizeof(value), "%d", MaxConnections * 2);
	SetConfigOption("max_prepared_transactions", value, PGC_POSTMASTER, PGC_S_OVERRIDE);
}

/*
 * A client that goes away in the middle of a statement ends it, here and on the other nodes, within
 * a second: sessions look every half second, unless the configuration says something else.
 */
void check_for_lost_clients()
{
	if (!IsUnderPostmaster && WaitEventSetCanReportClosed())
		SetConfigOption("client_connection_check_interval", "500", PGC_POSTMASTER,
						PGC_S_DYNAMIC_DEFAULT);
}

} // namespace

void transaction_init()
{
	raise_max_prepared_transactions();
	check_for_lost_clients();
	pg::debug_point_init();
	shared_state_init();
	distributed_id_init();
	deadlock_init();
	group_pause_init();
	node_choice_init();
	whole_statement_init();
	commit_init();
	local_settings_init();
	remote::global_pid_hook = global_pid;
	remote::is_this_server_hook = is_this_server;
}

} // namespace civitas::txn
