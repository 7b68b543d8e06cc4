/*
 * relations.h: the metadata catalogs as relations: their oids and columns.
 *
 * Oids are looked up once and kept until the extension is dropped or created anew; asking whether
 * the extension is there costs one comparison most of the time.
 */
#pragma once

#include "civitas/pg/server.h"

namespace civitas::catalog {

/* What SQL objects this library is for: default_version of citus.control (scripts/lint compares them). */
#define EXTENSION_VERSION "1.1"

/* The catalogs and indexes that the library reads or writes itself. */
enum class Catalog : int
{
	Partition,
	PartitionRelidIndex,
	PartitionColocationIndex,
	Shard,
	ShardIdIndex,
	ShardRelidIndex,
	Placement,
	PlacementIdIndex,
	PlacementShardIndex,
	PlacementGroupIndex,
	Colocation,
	ColocationPkey,
	ColocationConfigurationIndex,
	Node,
	NodePkey,
	LocalGroup,
	Authinfo,
	AuthinfoPkey,
	Object,
	ObjectPkey,
	Transaction,
	TransactionKey,
	Schema,
	IsolatedColocation,
	ClusterSecret,
	MetadataCopy,
	ShardIdSequence,
	PlacementIdSequence,
	ColocationIdSequence,
	NodeIdSequence,
	GroupIdSequence,
	Count
};

/* The oid; 55000 where the extension is not installed, or not to be used: check_extension_version(). */
Oid relation_oid(Catalog relation);
/* The same for who only asks what is distributed, and where: plain tables must go on whatever the version. Whoever finds
 * something calls check_extension_version() before going on. */
Oid readable_relation_oid(Catalog relation);

/* Columns of the catalogs, as attribute numbers. */
inline constexpr int PARTITION_RELID = 1;
inline constexpr int PARTITION_METHOD = 2;
inline constexpr int PARTITION_KEY = 3;
inline constexpr int PARTITION_COLOCATION = 4;
inline constexpr int PARTITION_REPMODEL = 5;
inline constexpr int PARTITION_AUTOCONVERTED = 6;
inline constexpr int PARTITION_COLUMNS = 6;

inline constexpr int SHARD_RELID = 1;
inline constexpr int SHARD_ID = 2;
inline constexpr int SHARD_STORAGE = 3;
inline constexpr int SHARD_MIN = 4;
inline constexpr int SHARD_MAX = 5;
inline constexpr int SHARD_COLUMNS = 5;

inline constexpr int PLACEMENT_ID = 1;
inline constexpr int PLACEMENT_SHARD = 2;
inline constexpr int PLACEMENT_STATE = 3;
inline constexpr int PLACEMENT_LENGTH = 4;
inline constexpr int PLACEMENT_GROUP = 5;
inline constexpr int PLACEMENT_COLUMNS = 5;
/* pg_dist_placement.shardstate of a placement that holds the shard's data. */
inline constexpr int PLACEMENT_STATE_ACTIVE = 1;

inline constexpr int COLOCATION_ID = 1;
inline constexpr int COLOCATION_SHARD_COUNT = 2;
inline constexpr int COLOCATION_REPLICATION = 3;
inline constexpr int COLOCATION_TYPE = 4;
inline constexpr int COLOCATION_COLLATION = 5;
inline constexpr int COLOCATION_COLUMNS = 5;

inline constexpr int NODE_ID = 1;
inline constexpr int NODE_GROUP = 2;
inline constexpr int NODE_NAME = 3;
inline constexpr int NODE_PORT = 4;
inline constexpr int NODE_RACK = 5;
inline constexpr int NODE_HAS_METADATA = 6;
inline constexpr int NODE_IS_ACTIVE = 7;
inline constexpr int NODE_ROLE = 8;
inline constexpr int NODE_CLUSTER = 9;
inline constexpr int NODE_METADATA_SYNCED = 10;
inline constexpr int NODE_SHOULD_HAVE_SHARDS = 11;
inline constexpr int NODE_PRIMARY_NODE = 12;
inline constexpr int NODE_COLUMNS = 12;

inline constexpr int AUTHINFO_NODE = 1;
inline constexpr int AUTHINFO_ROLE = 2;
inline constexpr int AUTHINFO_SECRET = 3;

inline constexpr int OBJECT_CLASS = 1;
inline constexpr int OBJECT_ID = 2;
inline constexpr int OBJECT_SUBID = 3;
inline constexpr int OBJECT_ARGUMENT = 7;
inline constexpr int OBJECT_COLOCATION = 8;
inline constexpr int OBJECT_DELEGATION = 9;
inline constexpr int OBJECT_COLUMNS = 9;

inline constexpr int METADATA_COPY_RELATION = 3;

/* Raises 55000 where pg_upgrade has left a table's metadata behind and it is not back yet: the table must not be taken for a
 * plain one meanwhile. */
void check_not_copied(Oid relid);

void relations_init();

} // namespace civitas::catalog
