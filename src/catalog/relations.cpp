/*
 * relations.cpp: is the extension here, and where are its catalogs?
 *
 * The state is a table of oids, filled in one go. It is thrown away by relcache invalidation: when
 * the extension is there, by invalidation of one of the relations that matter; when it is not, by
 * any invalidation, for a CREATE EXTENSION elsewhere creates relations whose oids nobody could
 * know. While the extension's own script runs, some catalogs exist and others do not; then the
 * extension counts as absent and nothing is remembered.
 */
#include "civitas/catalog/relations.h"
#include "civitas/catalog/nodes.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
CIVITAS_PG_END

namespace civitas::catalog {

namespace {

constexpr const char *EXTENSION_NAME = "citus";
constexpr const char *EXTENSION_VERSION = "1.0";
constexpr int RELATION_COUNT = static_cast<int>(Catalog::Count);

constexpr const char *relation_names[RELATION_COUNT] = {
	"pg_dist_partition",
	"pg_dist_partition_logical_relid_index",
	"pg_dist_partition_colocationid_index",
	"pg_dist_shard",
	"pg_dist_shard_shardid_index",
	"pg_dist_shard_logical_relid_index",
	"pg_dist_placement",
	"pg_dist_placement_placementid_index",
	"pg_dist_placement_shardid_index",
	"pg_dist_placement_groupid_index",
	"pg_dist_colocation",
	"pg_dist_colocation_pkey",
	"pg_dist_colocation_configuration_index",
	"pg_dist_node",
	"pg_dist_node_pkey",
	"pg_dist_local_group",
	"pg_dist_authinfo",
	"pg_dist_authinfo_pkey",
	"pg_dist_object",
	"pg_dist_object_pkey",
	"pg_dist_transaction",
	"pg_dist_transaction_unique_constraint",
	"pg_dist_schema",
	"isolated_colocation",
	"cluster_secret",
	"pg_dist_shardid_seq",
	"pg_dist_placement_placementid_seq",
	"pg_dist_colocationid_seq",
	"pg_dist_node_nodeid_seq",
	"pg_dist_groupid_seq",
};

enum class Presence
{
	Unknown,
	Installed,
	Absent
};

struct State
{
	Presence presence = Presence::Unknown;
	bool version_matches = false;
	Oid oids[RELATION_COUNT] = {};
};
State state;

bool is_ours(Oid relid)
{
	for (const Oid oid : state.oids)
		if (oid == relid)
			return true;
	return false;
}

/* Any of our relations counts: DROP EXTENSION takes them away one by one. */
void forget_relations(Datum, Oid relid)
{
	if (state.presence == Presence::Unknown ||
		(state.presence == Presence::Installed && OidIsValid(relid) && !is_ours(relid)))
		return;
	state.presence = Presence::Unknown;
	state.version_matches = false;
}

/* Fills in the oids; false where one is missing. */
bool look_up_relations()
{
	const Oid internal_schema = get_namespace_oid("citus_internal", true);
	if (!OidIsValid(internal_schema))
		return false;
	for (int i = 0; i < RELATION_COUNT; i++)
	{
		const Oid schema = i == static_cast<int>(Catalog::IsolatedColocation) ||
								   i == static_cast<int>(Catalog::ClusterSecret)
							   ? internal_schema
							   : PG_CATALOG_NAMESPACE;
		state.oids[i] = get_relname_relid(relation_names[i], schema);
		if (!OidIsValid(state.oids[i]))
			return false;
	}
	return true;
}

/* The version that CREATE or ALTER EXTENSION last installed; null where there is none. */
char *installed_version()
{
	Relation extensions = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(EXTENSION_NAME));
	SysScanDesc scan = systable_beginscan(extensions, ExtensionNameIndexId, true, nullptr, 1, &key);
	char *version = nullptr;
	HeapTuple tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool is_null;
		Datum value = heap_getattr(tuple, Anum_pg_extension_extversion,
								   RelationGetDescr(extensions), &is_null);
		if (!is_null)
			version = TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return version;
}

} // namespace

bool extension_installed()
{
	if (state.presence == Presence::Installed)
		return !creating_extension ||
			   CurrentExtensionObject != get_extension_oid(EXTENSION_NAME, true);
	if (state.presence == Presence::Absent)
		return false;
	if (!IsTransactionState() || !OidIsValid(MyDatabaseId) || IsBinaryUpgrade)
		return false;

	/* Invalidation messages that arrive during the lookups must not be overwritten. */
	state.presence = Presence::Absent;
	const bool complete = look_up_relations();
	if (creating_extension)
	{
		state.presence = Presence::Unknown;
		return complete && CurrentExtensionObject != get_extension_oid(EXTENSION_NAME, true);
	}
	if (complete && state.presence == Presence::Absent)
		state.presence = Presence::Installed;
	return complete;
}

Oid relation_oid(Catalog relation)
{
	if (state.presence != Presence::Installed && !extension_installed())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the citus extension is not installed in this database"),
						errhint("Run CREATE EXTENSION citus first.")));
	return state.oids[static_cast<int>(relation)];
}

void check_extension_version()
{
	if (state.presence == Presence::Installed && state.version_matches)
		return;
	const char *version = installed_version();
	if (version == nullptr)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the citus extension is not installed in this database"),
						errhint("Run CREATE EXTENSION citus first.")));
	if (strcmp(version, EXTENSION_VERSION) != 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the loaded citus library is version %s, but the extension is version %s",
					EXTENSION_VERSION, version),
			 errhint(
				 "Run ALTER EXTENSION citus UPDATE, and restart the server if a newer version was "
				 "installed.")));
	state.version_matches = state.presence == Presence::Installed;
}

void relations_init()
{
	CacheRegisterRelcacheCallback(forget_relations, 0);
}

} // namespace civitas::catalog
