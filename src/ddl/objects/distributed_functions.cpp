/*
 * distributed_functions.cpp: create_distributed_function().
 *
 * Every function is on every node. What this adds is which argument says with which shards a call
 * belongs: it is checked and recorded. Calls run on the node that is asked, and the statements of
 * the function go to the rows from there.
 */
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"
#include "civitas/catalog/writes.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/sql_text.h"
#include "new_objects.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_proc.h"
#include "funcapi.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/varlena.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

struct Argument
{
	int index;
	Oid type;
};

/* By name, or as $1, $2, ..; counts what calls pass. */
Argument find_argument(Oid function, const char *name)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	Oid *types;
	char **names;
	char *modes;
	const int count = get_func_arg_info(tuple, &types, &names, &modes);
	Argument found = {-1, InvalidOid};
	int index = 0;
	for (int i = 0; i < count && found.index < 0; i++)
	{
		if (modes != nullptr && modes[i] != FUNC_PARAM_IN && modes[i] != FUNC_PARAM_INOUT &&
			modes[i] != FUNC_PARAM_VARIADIC)
			continue;
		if ((names != nullptr && strcmp(names[i], name) == 0) ||
			strcmp(psprintf("$%d", index + 1), name) == 0)
			found = {index, types[i]};
		index++;
	}
	ReleaseSysCache(tuple);
	if (found.index < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_PARAMETER),
				 errmsg("function %s has no argument \"%s\"", format_procedure(function), name),
				 errhint("Name one of its input arguments, or its position as $1, $2, ..")));
	return found;
}

[[noreturn]] void refuse_type(Oid function, const char *argument, Oid type, Oid wanted)
{
	ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("argument \"%s\" of function %s cannot choose a shard", argument,
						   format_procedure(function)),
					errdetail("It is of type %s, the distribution column of type %s.",
							  format_type_be(type), format_type_be(wanted))));
}

ColocationId colocation_of_table(Oid function, const char *argument, Oid type, const char *name)
{
	const Oid relid = RangeVarGetRelid(
		makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name))), NoLock, false);
	const catalog::Table& table = catalog::get_table(relid);
	if (argument == nullptr)
		return table.colocation_id;
	if (table.distribution_attno == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("table \"%s\" has no distribution column", get_rel_name(relid)),
						errhint("Leave out distribution_arg_name, or name a table that is "
								"distributed by hash.")));
	const Oid wanted = get_atttype(relid, table.distribution_attno);
	if (wanted != type)
		refuse_type(function, argument, type, wanted);
	return table.colocation_id;
}

/* The group of tables of this type that new tables would join. */
ColocationId default_colocation(Oid function, const char *argument, Oid type)
{
	const char *found = pg::sql_text(
		psprintf("SELECT min(colocationid) FROM pg_dist_colocation WHERE distributioncolumntype = "
				 "%u AND shardcount = current_setting('citus.shard_count')::int",
				 type));
	if (found == nullptr)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("no distributed table goes with argument \"%s\" of function %s",
							   argument, format_procedure(function)),
						errhint("Use colocate_with to name a table.")));
	return atoi(found);
}

void refuse_force(Oid function)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("calls of function %s cannot be forced to a node", format_procedure(function)),
			 errdetail("They run on the node that is asked; the statements of the function "
					   "go to the rows."),
			 errhint("Leave out force_delegation.")));
}

} // namespace

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(create_distributed_function);
PGDLLEXPORT Datum create_distributed_function(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("function_name cannot be NULL")));
	const Oid function = PG_GETARG_OID(0);
	const char *argument = PG_ARGISNULL(1) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(1));
	const char *table = PG_ARGISNULL(2) ? "default" : text_to_cstring(PG_GETARG_TEXT_PP(2));
	catalog::require_coordinator();
	if (!pg::owns(ProcedureRelationId, function))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_ROUTINE, get_func_name(function));
	if (!PG_ARGISNULL(3) && PG_GETARG_BOOL(3))
		refuse_force(function);
	Argument chosen = {-1, InvalidOid};
	if (argument != nullptr)
		chosen = find_argument(function, argument);
	ColocationId colocation = INVALID_COLOCATION_ID;
	if (strcmp(table, "default") != 0)
		colocation = colocation_of_table(function, argument, chosen.type, table);
	else if (argument != nullptr)
		colocation = default_colocation(function, argument, chosen.type);
	auto *address = static_cast<ObjectAddress *>(palloc(sizeof(ObjectAddress)));
	ObjectAddressSet(*address, ProcedureRelationId, function);
	if (!catalog::object_is_distributed(ProcedureRelationId, function))
		keep_objects(list_make1(address));
	if (!catalog::object_is_distributed(ProcedureRelationId, function))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("function %s cannot be on every node", format_procedure(function)),
						errdetail("It rests on what only this node has, or belongs to an "
								  "extension.")));
	catalog::set_function_placement(function, chosen.index, colocation);
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::ddl
