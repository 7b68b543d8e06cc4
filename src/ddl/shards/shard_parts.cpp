/*
 * shard_parts.cpp: shards made in steps, for those who fill them in between.
 *
 * A move or a split makes the tables first, copies rows into them, builds indexes over the rows,
 * attaches partitions, and adds foreign keys last. The definitions come from the local shells, as
 * for new tables (shard_ddl.cpp). The shards are given by name, for new ones of a split are not in
 * the metadata yet, and neither are tables that are being distributed while others write to them.
 */
#include "../distribute/distribute.h"
#include "civitas/catalog/node_session.h"
#include "civitas/catalog/tables.h"
#include "civitas/ddl/shard_ddl.h"
#include "civitas/deparse/table_definition.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/vec.h"
#include "shard_names.h"

CIVITAS_PG_BEGIN
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

List *part_commands(Oid relid, ShardPart part)
{
	switch (part)
	{
	case ShardPart::Table:
		return deparse::shard_table_commands(relid);
	case ShardPart::Indexes:
		return deparse::shard_index_commands(relid);
	case ShardPart::Attach: {
		char *attach = deparse::attach_partition_command(relid);
		return attach != nullptr ? list_make1(attach) : NIL;
	}
	case ShardPart::ForeignKeys:
		return list_concat(deparse::foreign_key_commands(relid),
						   deparse::shard_guard_commands(relid));
	}
	return NIL;
}

/* The rows are those of a shard that has the constraint: valid without a look at them. */
void trust_foreign_keys(Node *tree)
{
	if (!IsA(tree, AlterTableStmt))
		return;
	ListCell *cell;
	foreach (cell, castNode(AlterTableStmt, tree)->cmds)
	{
		auto *cmd = lfirst_node(AlterTableCmd, cell);
		if (cmd->subtype != AT_AddConstraint)
			continue;
		auto *constraint = castNode(Constraint, cmd->def);
		/* One that was NOT VALID there stays so. */
		if (constraint->contype == CONSTR_FOREIGN && !constraint->skip_validation)
		{
			constraint->skip_validation = true;
			constraint->initially_valid = true;
		}
	}
}

} // namespace

void create_shard_parts(std::span<const NamedShard> shards, ShardPart part)
{
	set_named_shards(shards);
	for (const NamedShard& shard : shards)
	{
		List *commands = part_commands(shard.relid, part);
		ListCell *cell;
		foreach (cell, commands)
		{
			auto *text = static_cast<const char *>(lfirst(cell));
			Node *tree = parse_one(text);
			rename_to_shards(tree, NAMED_SHARDS);
			trust_foreign_keys(tree);
			/* It looks at the rows, with what the partitioning may call. */
			if (part == ShardPart::Attach)
				as_owner(shard.relid, [&] { execute_tree(tree, text); });
			else
				execute_tree(tree, text);
		}
		CHECK_FOR_INTERRUPTS();
	}
}

namespace {

pg::Vec<NamedShard> named_shard_arguments(FunctionCallInfo fcinfo)
{
	Datum *relations;
	Datum *ids;
	int count;
	int id_count;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), REGCLASSOID, 4, true, TYPALIGN_INT, &relations,
					  nullptr, &count);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &ids,
					  nullptr, &id_count);
	if (count != id_count)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("there must be one shard id for each relation")));
	pg::Vec<NamedShard> shards;
	for (int i = 0; i < count; i++)
		shards.push({DatumGetObjectId(relations[i]), DatumGetInt64(ids[i])});
	return shards;
}

void require_owner(Oid relid)
{
	if (get_rel_name(relid) == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	if (!pg::owns(RelationRelationId, relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
}

} // namespace

/* Runs body() with all rights: what the owner of the tables asked for needs some on other tables.
 * An error puts the user back with the transaction. */
template <typename Body> static void as_superuser(Body&& body)
{
	Oid user;
	int context;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, context | SECURITY_LOCAL_USERID_CHANGE);
	body();
	SetUserIdAndSecContext(user, context);
}

namespace {

/* The triggers that carry changes of other tables' rows to the shard. */
List *disabling_commands(Oid shard)
{
	return pg::sql_texts(psprintf(
		"SELECT format('ALTER TABLE %%I.%%I DISABLE TRIGGER %%I', n.nspname, c.relname, t.tgname) "
		"FROM pg_constraint k JOIN pg_trigger t ON t.tgconstraint = k.oid AND t.tgrelid = "
		"k.confrelid JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = "
		"c.relnamespace WHERE k.conrelid = %u AND k.confrelid <> k.conrelid AND k.contype = 'f' "
		"AND t.tgtype & 1 = 1 AND t.tgfoid IN (SELECT oid FROM pg_proc WHERE proname ~ "
		"'^RI_FKey_.*_(del|upd)$' AND proname !~ '_check_')",
		shard));
}

} // namespace

CIVITAS_PG_BEGIN

/* create_shard_parts(relations, shard ids, part): only superusers may call it. */
PG_FUNCTION_INFO_V1(citus_internal_create_shard_parts);
PGDLLEXPORT Datum citus_internal_create_shard_parts(PG_FUNCTION_ARGS)
{
	static constexpr struct
	{
		const char *name;
		ShardPart part;
	} PARTS[] = {{"table", ShardPart::Table},
				 {"indexes", ShardPart::Indexes},
				 {"attach", ShardPart::Attach},
				 {"foreign keys", ShardPart::ForeignKeys}};
	const char *wanted = text_to_cstring(PG_GETARG_TEXT_PP(2));
	const pg::Vec<NamedShard> shards = named_shard_arguments(fcinfo);
	for (const auto& part : PARTS)
		if (strcmp(part.name, wanted) == 0)
		{
			create_shard_parts(shards.span(), part.part);
			PG_RETURN_VOID();
		}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("shards have no part \"%s\"", wanted)));
}

/* add_foreign_keys(relations, shard ids): of shards that have the rows. */
PG_FUNCTION_INFO_V1(citus_internal_add_foreign_keys);
PGDLLEXPORT Datum citus_internal_add_foreign_keys(PG_FUNCTION_ARGS)
{
	catalog::require_node_call(fcinfo);
	const pg::Vec<NamedShard> shards = named_shard_arguments(fcinfo);
	for (const NamedShard& shard : shards)
		require_owner(shard.relid);
	as_superuser([&] { create_shard_parts(shards.span(), ShardPart::ForeignKeys); });
	PG_RETURN_VOID();
}

/* ignore_foreign_keys(relation, shard id): changes of referenced tables pass the shard by. */
PG_FUNCTION_INFO_V1(citus_internal_ignore_foreign_keys);
PGDLLEXPORT Datum citus_internal_ignore_foreign_keys(PG_FUNCTION_ARGS)
{
	catalog::require_node_call(fcinfo);
	const Oid relid = PG_GETARG_OID(0);
	require_owner(relid);
	const Oid shard =
		get_relname_relid(catalog::shard_relation_name(get_rel_name(relid), PG_GETARG_INT64(1)),
						  get_rel_namespace(relid));
	if (!OidIsValid(shard))
		PG_RETURN_VOID();
	as_superuser([&] {
		List *commands = disabling_commands(shard);
		ListCell *cell;
		foreach (cell, commands)
		{
			const auto *text = static_cast<const char *>(lfirst(cell));
			execute_tree(parse_one(text), text);
		}
	});
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::ddl
