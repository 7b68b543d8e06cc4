/*
 * logical_names.cpp: shard-level names back to logical ones.
 *
 * The shard id is the digits after the last underscore. It gives the table; the candidates are the
 * table's name and its indexes' names. Each candidate is given the suffix by the same function that
 * named the shard's objects, so shortened names are recognised too.
 */
#include "civitas/catalog/logical_names.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/str.h"
#include "civitas/pg/subtransaction.h"

CIVITAS_PG_BEGIN
#include "access/relation.h"
#include "access/xact.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
CIVITAS_PG_END

#include <cstring>

namespace civitas::catalog {

namespace {

/* The number after the last underscore; INVALID_SHARD_ID where the name does not end so. */
ShardId trailing_shard_id(const char *name, size_t length)
{
	size_t start = length;
	while (start > 0 && name[start - 1] >= '0' && name[start - 1] <= '9')
		start--;
	const size_t digits = length - start;
	if (digits == 0 || digits > 18 || start < 2 || name[start - 1] != '_' || name[start] == '0')
		return INVALID_SHARD_ID;
	ShardId id = 0;
	for (size_t i = start; i < length; i++)
		id = id * 10 + (name[i] - '0');
	return id;
}

bool is_shard_name_of(const char *candidate, ShardId id, const char *name)
{
	if (candidate == nullptr)
		return false;
	char *shard_name = shard_relation_name(candidate, id);
	const bool same = strcmp(shard_name, name) == 0;
	pfree(shard_name);
	return same;
}

} // namespace

char *logical_name(const char *shard_level_name)
{
	const ShardId id = trailing_shard_id(shard_level_name, strlen(shard_level_name));
	ShardOwner owner;
	if (id == INVALID_SHARD_ID || !IsTransactionState() || !find_shard(id, &owner))
		return nullptr;

	char *table_name = get_rel_name(owner.relid);
	if (is_shard_name_of(table_name, id, shard_level_name))
		return table_name;

	Relation table = try_relation_open(owner.relid, AccessShareLock);
	if (table == nullptr)
		return nullptr;
	char *found = nullptr;
	List *indexes = RelationGetIndexList(table);
	ListCell *cell;
	foreach (cell, indexes)
	{
		char *index_name = get_rel_name(lfirst_oid(cell));
		if (is_shard_name_of(index_name, id, shard_level_name))
		{
			found = index_name;
			break;
		}
	}
	relation_close(table, AccessShareLock);
	return found;
}

char *logical_text(char *text)
{
	if (text == nullptr || strchr(text, '"') == nullptr)
		return text;
	pg::Str out;
	bool changed = false;
	const char *at = text;
	for (;;)
	{
		const char *open = strchr(at, '"');
		const char *close = open ? strchr(open + 1, '"') : nullptr;
		if (close == nullptr)
			break;
		/* Whether a quote opens or closes a name cannot be told from the text, so each is tried as
		 * an opening one. */
		const int length = static_cast<int>(close - open - 1);
		char *logical = nullptr;
		if (length > 0 && length < NAMEDATALEN &&
			trailing_shard_id(open + 1, length) != INVALID_SHARD_ID)
			logical = logical_name(pnstrdup(open + 1, length));
		if (logical)
		{
			out.raw(at, static_cast<int>(open + 1 - at)).raw(logical).ch('"');
			at = close + 1;
			changed = true;
		}
		else
		{
			out.raw(at, static_cast<int>(close - at));
			at = close;
		}
	}
	out.raw(at);
	return changed ? out.c_str() : text;
}

void use_logical_names(ErrorData *error)
{
	struct Names
	{
		char *message;
		char *detail;
		char *table;
		char *constraint;
	} names = {error->message, error->detail, error->table_name, error->constraint_name};
	auto translate = [&] {
		names.message = logical_text(names.message);
		names.detail = logical_text(names.detail);
		for (char **name : {&names.table, &names.constraint})
			if (char *logical = *name != nullptr ? logical_name(*name) : nullptr)
				*name = logical;
	};
	if (!pg::look_up_after_error(translate))
		return;
	error->message = names.message;
	error->detail = names.detail;
	error->table_name = names.table;
	error->constraint_name = names.constraint;
}

} // namespace civitas::catalog
