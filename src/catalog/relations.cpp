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
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
CIVITAS_PG_END

namespace civitas::catalog {

namespace {

constexpr const char *EXTENSION_NAME = "citus";
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
	"metadata_copy",
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

/* Rows of metadata_copy: none but between citus_prepare_pg_upgrade() and citus_finish_pg_upgrade(). */
enum class Copy
{
	Unknown,
	Empty,
	Filled
};

struct State
{
	Presence presence = Presence::Unknown;
	bool version_matches = false; /* and nothing waits for pg_upgrade */
	Copy copy = Copy::Unknown;
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
	state.copy = Copy::Unknown;
}

Oid schema_of(int relation, Oid internal_schema)
{
	switch (static_cast<Catalog>(relation))
	{
	case Catalog::IsolatedColocation:
	case Catalog::ClusterSecret:
	case Catalog::MetadataCopy:
		return internal_schema;
	default:
		return PG_CATALOG_NAMESPACE;
	}
}

/* Catalogs that an earlier version does not have. */
bool is_recent(Catalog relation)
{
	return relation == Catalog::MetadataCopy;
}

enum class Lookup
{
	Incomplete, /* an extension that is being made or dropped, or none */
	Earlier,	/* only recent ones are missing */
	Complete
};

/* Fills in the oids, invalid ones where there is no such relation. */
Lookup look_up_relations()
{
	const Oid internal_schema = get_namespace_oid("citus_internal", true);
	Lookup found = Lookup::Complete;
	for (int i = 0; i < RELATION_COUNT; i++)
	{
		const Oid schema = schema_of(i, internal_schema);
		state.oids[i] =
			OidIsValid(schema) ? get_relname_relid(relation_names[i], schema) : InvalidOid;
		if (OidIsValid(state.oids[i]))
			continue;
		if (!is_recent(static_cast<Catalog>(i)))
			return Lookup::Incomplete;
		found = Lookup::Earlier;
	}
	return found;
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

bool other_version_installed()
{
	const char *version = installed_version();
	return version != nullptr && strcmp(version, EXTENSION_VERSION) != 0;
}

bool is_empty(Catalog catalog)
{
	Relation relation = table_open(state.oids[static_cast<int>(catalog)], AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
	const bool empty = !HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return empty;
}

/* Whether the metadata is between two servers: copied for pg_upgrade, and not brought back yet. */
bool is_copied()
{
	if (!OidIsValid(state.oids[static_cast<int>(Catalog::MetadataCopy)]))
		return false;
	if (state.copy == Copy::Unknown)
	{
		/* An invalidation that arrives meanwhile must not be overwritten. */
		state.copy = Copy::Filled;
		const bool empty = is_empty(Catalog::MetadataCopy);
		if (empty && state.copy == Copy::Filled)
			state.copy = Copy::Empty;
		return !empty;
	}
	return state.copy == Copy::Filled;
}

/* A server that pg_upgrade reads from: what it leaves behind must have been copied. The one that it writes to has no row for
 * its group yet. */
void check_binary_upgrade()
{
	if (IsTransactionState() && OidIsValid(MyDatabaseId) && !creating_extension &&
		look_up_relations() == Lookup::Complete && !is_empty(Catalog::LocalGroup) &&
		is_empty(Catalog::MetadataCopy))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("database \"%s\" is not prepared for pg_upgrade",
						get_database_name(MyDatabaseId)),
				 errdetail("The metadata of citus would be lost."),
				 errhint("Start the old server, run SELECT citus_prepare_pg_upgrade() in this "
						 "database, stop the server and try again.")));
}

void refuse_copied_metadata()
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					is_empty(Catalog::LocalGroup)
						? errmsg("the metadata of citus is not restored after pg_upgrade yet")
						: errmsg("this database is prepared for pg_upgrade"),
					errhint("Run SELECT citus_finish_pg_upgrade() in this database, after "
							"pg_upgrade or to go on without it.")));
}

} // namespace

bool extension_installed()
{
	if (state.presence == Presence::Installed)
		return !creating_extension ||
			   CurrentExtensionObject != get_extension_oid(EXTENSION_NAME, true);
	if (state.presence == Presence::Absent)
		return false;
	if (IsBinaryUpgrade)
	{
		check_binary_upgrade();
		return false;
	}
	if (!IsTransactionState() || !OidIsValid(MyDatabaseId))
		return false;

	/* Invalidation messages that arrive during the lookups must not be overwritten. */
	state.presence = Presence::Absent;
	const Lookup lookup = look_up_relations();
	const bool found =
		lookup == Lookup::Complete || (lookup == Lookup::Earlier && other_version_installed());
	if (creating_extension)
	{
		state.presence = Presence::Unknown;
		return found && CurrentExtensionObject != get_extension_oid(EXTENSION_NAME, true);
	}
	if (found && state.presence == Presence::Absent)
		state.presence = Presence::Installed;
	return found;
}

Oid readable_relation_oid(Catalog relation)
{
	if (state.presence != Presence::Installed && !extension_installed())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the citus extension is not installed in this database"),
						errhint("Run CREATE EXTENSION citus first.")));
	const Oid oid = state.oids[static_cast<int>(relation)];
	/* A catalog that another version of the extension does not have. */
	if (!OidIsValid(oid))
		check_extension_version();
	return oid;
}

Oid relation_oid(Catalog relation)
{
	check_extension_version();
	return readable_relation_oid(relation);
}

bool extension_usable()
{
	if (!extension_installed())
		return false;
	const char *version = installed_version();
	return version != nullptr && strcmp(version, EXTENSION_VERSION) == 0 && !is_copied();
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
	if (extension_installed() && is_copied())
		refuse_copied_metadata();
	state.version_matches = state.presence == Presence::Installed;
}

void check_not_copied(Oid relid)
{
	if (!is_copied())
		return;
	Relation relation = table_open(readable_relation_oid(Catalog::MetadataCopy), AccessShareLock);
	ScanKeyData key;
	ScanKeyInit(&key, METADATA_COPY_RELATION, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 1, &key);
	const bool found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	if (found)
		refuse_copied_metadata();
}

void relations_init()
{
	CacheRegisterRelcacheCallback(forget_relations, 0);
	/* pg_upgrade creates the extension's tables and views where they are: in pg_catalog, where the extension's own script
	 * can only move them. */
	if (IsBinaryUpgrade)
		SetConfigOption("allow_system_table_mods", "on", PGC_SUSET, PGC_S_OVERRIDE);
}

} // namespace civitas::catalog
