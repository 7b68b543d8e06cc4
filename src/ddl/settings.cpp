/*
 * settings.cpp: settings of DDL.
 */
#include "settings.h"

#include "civitas/base/ids.h"
#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "utils/guc.h"
CIVITAS_PG_END

namespace civitas::ddl {

int shard_count_setting = 32;
int shard_replication_factor = 1;
bool use_citus_managed_tables = false;
bool enable_local_reference_table_foreign_keys = true;
bool enable_create_role_propagation = true;
bool enable_ddl_propagation = true;
bool enable_metadata_sync = true;
bool enable_ddl_from_workers = true;

namespace {

bool enable_unsafe_triggers = false;

} // namespace

void define_settings()
{
	DefineCustomIntVariable(
		"citus.shard_count", "Number of shards of a new hash-distributed table.",
		"Choose two to four times the number of cores that the cluster will grow to.",
		&shard_count_setting, 32, 1, MAX_SHARD_COUNT, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomIntVariable(
		"citus.shard_replication_factor",
		"Number of placements of each shard of a new hash-distributed table.",
		"Streaming replication of whole nodes is the better way to have copies.",
		&shard_replication_factor, 1, 1, 100, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable("citus.use_citus_managed_tables",
							 "Adds new plain tables of the coordinator to the metadata.",
							 "Turn it on when every node must be able to query them.",
							 &use_citus_managed_tables, false, PGC_USERSET, 0, nullptr, nullptr,
							 nullptr);
	DefineCustomBoolVariable(
		"citus.enable_local_reference_table_foreign_keys",
		"Allows foreign keys between plain tables and reference tables.",
		"The plain table is added to the metadata; turn it off to get an error instead.",
		&enable_local_reference_table_foreign_keys, true, PGC_USERSET, 0, nullptr, nullptr,
		nullptr);
	/* Triggers are safe; scripts that say so are not stopped. */
	DefineCustomBoolVariable("citus.enable_unsafe_triggers",
							 "Accepted: triggers on distributed tables need no permission.",
							 nullptr, &enable_unsafe_triggers, false, PGC_USERSET,
							 GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable("citus.enable_create_role_propagation",
							 "Creates, alters and drops roles on the other nodes too.",
							 "Turn it off where roles are managed on each node by other means.",
							 &enable_create_role_propagation, true, PGC_USERSET, 0, nullptr,
							 nullptr, nullptr);
	DefineCustomBoolVariable("citus.enable_ddl_propagation",
							 "Carries statements that define things out on the other nodes too.",
							 "Turned off, such statements are about this node alone: for repairs.",
							 &enable_ddl_propagation, true, PGC_USERSET, 0, nullptr, nullptr,
							 nullptr);
	DefineCustomBoolVariable(
		"citus.enable_metadata_sync", "Makes new objects on the other nodes too.",
		"Turned off, a new function, type or view is this node's own until a "
		"distributed table needs it.",
		&enable_metadata_sync, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable("citus.enable_ddl_from_workers",
							 "Lets the coordinator carry out statements that are typed on workers.",
							 "Turned off, workers refuse statements that define things of the "
							 "cluster.",
							 &enable_ddl_from_workers, true, PGC_USERSET, 0, nullptr, nullptr,
							 nullptr);
}

} // namespace civitas::ddl
