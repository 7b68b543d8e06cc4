/*
 * settings.h: settings of DDL.
 */
#pragma once

namespace civitas::ddl {

/* citus.shard_count: shards of a new hash-distributed table. */
extern int shard_count_setting;
/* citus.shard_replication_factor: placements of each of its shards. */
extern int shard_replication_factor;
/* citus.use_citus_managed_tables: new plain tables are added to the metadata. */
extern bool use_citus_managed_tables;
/* citus.enable_local_reference_table_foreign_keys: plain tables may reference reference tables;
 * they are added to the metadata. */
extern bool enable_local_reference_table_foreign_keys;
/* citus.enable_create_role_propagation: statements about roles go to the other nodes. */
extern bool enable_create_role_propagation;
/* citus.enable_ddl_propagation: the hook looks at statements that define things at all. */
extern bool enable_ddl_propagation;
/* citus.enable_metadata_sync: new objects go to the other nodes. */
extern bool enable_metadata_sync;
/* citus.enable_ddl_from_workers: the coordinator carries out what is typed on workers. */
extern bool enable_ddl_from_workers;

void define_settings();

} // namespace civitas::ddl
